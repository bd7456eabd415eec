"""The command ``autoreview backtest``."""

import asyncio
import json
import signal
from pathlib import Path

from typer.testing import CliRunner, Result

from service.cli import app
from service.prolific.lists import LARGEST_PAGE
from service.sandbox.faults import Fault
from service.sandbox.studies import STROOP
from tests import warm
from tests.conftest import Start
from tests.integration.backtest.test_backtest import RULES, STRICTER, decided
from tests.process import autoreview, environment
from tests.world import TOKEN, World, until, write_rules


async def command(world: World, folder: Path, *arguments: str, database: bool = True) -> Result:
    """Run the command in a thread, because it has its own event loop."""
    environment: dict[str, str | None] = {
        "AUTOREVIEW_PROLIFIC_URL": world.prolific_url,
        "AUTOREVIEW_PROLIFIC_TOKEN": TOKEN,
        "AUTOREVIEW_DATABASE_URL": world.service.database.url if database else None,
        "AUTOREVIEW_DATA_DIR": str(folder / "nothing"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    words = ["backtest", "--study", STROOP, *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, words, env=environment)


async def test_command_writes_report_markdown_and_exit_code_of_conditions(
    start: Start, tmp_path: Path
) -> None:
    stricter = str(write_rules(tmp_path / "stricter", STRICTER))
    same = str(write_rules(tmp_path / "same", RULES))
    report = tmp_path / "report.html"
    async with start(RULES) as world:
        changed = await decided(world, attention_failed=1)
        await decided(world, attention_failed=0)
        fine = await command(world, tmp_path, "--rules", same, "--fail-if", "changed > 0")
        failed = await command(
            world,
            tmp_path,
            "--rules",
            stricter,
            "--markdown",
            "--fail-if",
            "reject > 2%",
            "--html",
            str(report),
        )
        wrong = await command(world, tmp_path, "--rules", same, "--fail-if", "reject > 2 percent")
    assert fine.exit_code == 0, fine.output
    assert "2 submissions" in fine.stdout
    assert "Rejections: 0 of 2, 0.0 % (95 % interval 0.0 to 65.8 %)." in fine.stdout
    assert "Paid: 3.60 before, 3.60 now. 0.00 taken away, 0.00 newly paid, 0.00 held." in fine.stdout
    assert f"The report is in {report}." in failed.stderr
    assert "| no rule | failed two checks |" in failed.stdout
    assert failed.exit_code == 1, failed.output
    assert "Fails: reject > 2%: reject is 1 of 2 (50.0 %)" in failed.stderr
    assert "## Backtest: 1 of 2 submissions change" in failed.stdout
    assert wrong.exit_code != 0
    page = report.read_text(encoding="utf-8")
    assert f'<details id="s-{changed["submission_id"]}"' in page
    assert "evidence.survey.attention_failed &gt;= 2" in page  # the old explanation
    assert "evidence.survey.attention_failed &gt;= 1" in page  # beside the new one


async def test_command_compares_with_another_folder_and_names_each_difference(
    start: Start, tmp_path: Path
) -> None:
    stricter = str(write_rules(tmp_path / "stricter", STRICTER))
    same = str(write_rules(tmp_path / "same", RULES))
    async with start(RULES) as world:
        await decided(world, attention_failed=1)
        found = await command(world, tmp_path, "--rules", stricter, "--against", same, "--json")
        shown = await command(world, tmp_path, "--rules", stricter)
        misspelt = await command(world, tmp_path, "--rules", stricter, "--against", "prolifik")
    said = json.loads(found.stdout)
    assert said["matrix"] == {"approve": {"reject": 1}}
    assert "no rule" in shown.stdout
    assert misspelt.exit_code == 2
    assert "decided, prolific or shadow" in " ".join(misspelt.stderr.split())
    [cause] = said["causes"]
    assert (cause["rule"], cause["difference"], cause["changes"]) == ("failed two checks", "changed", 1)


async def test_command_reads_an_unknown_study_from_the_list_of_prolific(start: Start, tmp_path: Path) -> None:
    rules = str(write_rules(tmp_path / "same", RULES))
    async with start(RULES.replace(STROOP, "another")) as world:
        for _ in range(3):
            world.completed()
        unseen = await command(world, tmp_path, "--rules", rules, "--json")
        alone = await command(
            world, tmp_path, "--rules", rules, "--json", "--against", "prolific", database=False
        )
        pages = list((tmp_path / "cache").rglob("page-*.json"))
        again = await command(world, tmp_path, "--rules", rules, "--json", "--against", "prolific")
    assert json.loads(unseen.stdout)["matrix"] == {"undecided": {"hold": 3}}, unseen.output
    assert json.loads(alone.stdout) == json.loads(unseen.stdout) == json.loads(again.stdout)
    assert [page.name for page in pages] == ["page-1.json"]
    assert pages[0].stat().st_mode & 0o777 == 0o600


async def test_command_compares_with_the_status_at_prolific(start: Start, tmp_path: Path) -> None:
    stricter = str(write_rules(tmp_path / "stricter", STRICTER))
    async with start(RULES) as world:
        await decided(world, attention_failed=1)
        found = await command(world, tmp_path, "--rules", stricter, "--against", "prolific", "--json")
    said = json.loads(found.stdout)
    assert said["matrix"] == {"approve": {"reject": 1}}
    assert said["changed"][0]["manual"] is False


async def test_interrupted_reading_of_prolifics_list_is_resumed(start: Start, tmp_path: Path) -> None:
    rules = str(write_rules(tmp_path / "same", RULES))
    words = ["backtest", "--study", STROOP, "--rules", rules, "--against", "prolific", "--json"]
    settings = {"data_dir": tmp_path / "nothing", "prolific_token": TOKEN}
    async with start(RULES.replace(STROOP, "another")) as world:
        for _ in range(LARGEST_PAGE + 1):
            world.completed()
        # The first page is sent at once, the second after the interruption.
        world.prolific.add(Fault("submissions"), Fault("submissions", latency=5))
        settings["prolific_url"] = world.prolific_url
        variables = environment(settings) | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        with (tmp_path / "log").open("wb") as output:
            process = await asyncio.to_thread(warm.start, words, env=variables, log=output)

        async def waits_for_the_second() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            return world.prolific.seen.count("submissions") == 2

        await until(waits_for_the_second, "the second page to be asked for")
        process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(process.wait(), 30)
        process.close()
        shown = (tmp_path / "log").read_text()
        kept = [page.name for page in (tmp_path / "cache").rglob("*") if page.is_file()]
        again = await command(world, tmp_path, *words[3:], database=False)
        asked = world.prolific.seen.count("submissions")
    assert (code, kept) == (130, ["page-1.json"]), shown
    assert "Traceback" not in shown
    assert json.loads(again.stdout)["submissions"] == LARGEST_PAGE + 1, again.output
    assert asked == 3  # the first page was not read again


async def test_missing_rows_are_read_from_prolific_and_not_from_saved_pages(
    start: Start, tmp_path: Path
) -> None:
    rules = str(write_rules(tmp_path / "same", RULES))
    words = ("--rules", rules, "--against", "prolific", "--json")
    async with start(RULES.replace(STROOP, "another")) as world:
        world.completed()
        await command(world, tmp_path, *words, database=False)
        [page] = (tmp_path / "cache").rglob("page-1.json")
        page.write_text(page.read_text().replace('"count": 1', '"count": 2'))
        world.completed()
        again = await command(world, tmp_path, *words, database=False)
    assert json.loads(again.stdout)["submissions"] == 2, again.output


def test_command_without_a_database_names_the_folder(tmp_path: Path) -> None:
    rules = str(write_rules(tmp_path / "rules", RULES))
    ended = autoreview(
        "backtest", "--study", STROOP, "--rules", rules, settings={"data_dir": tmp_path / "nothing"}
    )
    assert ended.returncode == 2
    assert f"there is no database in {tmp_path / 'nothing'}" in ended.stderr
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in ended.stderr
