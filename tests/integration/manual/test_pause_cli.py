"""``pause`` and ``resume`` as commands beside a running service."""

import json
from pathlib import Path

from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.manual.conftest import Command
from tests.integration.manual.orders import APPROVE, HELD, HOLD, autoreview, held, pause, resolved
from tests.process import complete_settings, serving
from tests.world import write_rules


async def test_pause_and_resume_say_what_they_did(start: Start, command: Command) -> None:
    async with start(APPROVE) as world:
        said = await command("pause", "--study", STROOP, "--by", "Ada", "--reason", "the survey is broken")
        assert said.returncode == 0
        assert f"Paused study {STROOP}" in said.stdout
        assert "Is the id right?" in said.stderr, "nothing of the study was ever seen"
        again = await command("pause", "--study", STROOP, "--by", "Bob", "--reason", "me too")
        assert "paused already, by Ada: the survey is broken" in again.stdout
        submissions = [await held(world) for _ in range(2)]
        await resolved(world, submissions[0], HELD)
        await pause(world, None, by="Cleo")
        resumed = await command("resume", "--study", STROOP, "--by", "Bob", "--reason", "mended")
        assert (resumed.returncode, resumed.stderr) == (0, ""), "no log line"
        for told in (
            f"Resumed study {STROOP}",
            "closed: the pause by Bob: me too",
            "reviewed again: 1",
            "still on: the whole service, the pause by Cleo",
        ):
            assert told in resumed.stdout
        state = json.loads((await command("resume", "--by", "Bob", "--reason", "x", "--json")).stdout)
        assert (state["study"], state["still_on"], len(state["closed"])) == (None, [], 1)
        nothing = await command("resume", "--by", "Bob", "--reason", "x")
        assert "no pause was on and no breaker open" in nothing.stdout
        assert (await world.settled(submissions[1].id, decisions=2))["status"] == "applied"


async def test_pause_and_resume_without_name_reason_or_with_an_empty_study_are_wrong_usage(
    start: Start, command: Command
) -> None:
    """An empty ``--study "$STUDY"`` must never pause or resume the whole service."""
    wrong = [
        ("resume", ["--by", "Ada"], "--reason"),
        ("resume", ["--by", "", "--reason", "x"], "a text is needed"),
        ("resume", ["--by", "Ada", "--reason", " "], "a text is needed"),
        ("resume", ["--by", "Ada", "--reason", "x", "--study", ""], "study"),
        ("pause", ["--by", "Ada", "--reason", "x", "--study", ""], "study"),
    ]
    async with start(HOLD) as world:
        await pause(world, None)
        for name, arguments, named in wrong:
            ended = await command(name, *arguments)
            assert (ended.returncode, named in ended.stderr) == (2, True), (arguments, ended.stderr)
            assert "Traceback" not in ended.stderr
        assert len((await world.api("status"))["pauses"]) == 1


async def test_commands_find_the_running_services_own_database(tmp_path: Path, data_dir: Path) -> None:
    """And what one process pauses stays paused in the next. Between them no order is taken, only questions."""
    settings = complete_settings(write_rules(tmp_path / "rules", HOLD), data_dir)
    there: dict[str, object] = {"data_dir": data_dir}
    async with serving(settings, tmp_path / "log") as running:
        paused = await autoreview("pause", "--by", "Ada", "--reason", "x", settings=there)
        assert paused.returncode == 0, paused.stderr
        assert await running.stop() == 0
    between = await autoreview("resume", "--by", "Ada", "--reason", "x", settings=there)
    assert (between.returncode, between.stdout) == (2, "")
    read = await autoreview("holds", "--json", settings=there)
    assert (read.returncode, json.loads(read.stdout)) == (0, [])
    assert f"No service is at work on {data_dir}" in read.stderr
    async with serving(settings, tmp_path / "log"):
        after = await autoreview("resume", "--by", "Ada", "--reason", "x", "--json", settings=there)
        assert [one["by"] for one in json.loads(after.stdout)["closed"]] == ["Ada"]
