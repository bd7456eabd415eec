"""``autoreview backtest`` as people and CI call it."""

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner, Result

from service.cli import app
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.backtest.test_backtest import RULES, STRICTER, decided
from tests.world import TOKEN, World, write_rules


async def command(world: World, folder: Path, *arguments: str, database: bool = True) -> Result:
    """Run the command beside the service, in a thread: it has an event loop of its own."""
    environment: dict[str, str | None] = {
        "AUTOREVIEW_PROLIFIC_URL": world.prolific_url,
        "AUTOREVIEW_PROLIFIC_TOKEN": TOKEN,
        "AUTOREVIEW_DATABASE_URL": world.service.database.url if database else None,
        "AUTOREVIEW_DATA_DIR": str(folder / "nothing"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    words = ["backtest", "--study", STROOP, *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, words, env=environment)


async def test_report_markdown_and_conditions(start: Start, tmp_path: Path) -> None:
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
    assert failed.exit_code == 1, failed.output
    assert "Fails: reject > 2%: reject is 1 of 2 (50.0 %)" in failed.stderr
    assert "## Backtest: 1 of 2 submissions change" in failed.stdout
    assert wrong.exit_code != 0
    page = report.read_text(encoding="utf-8")
    assert f'<details id="s-{changed["submission_id"]}"' in page
    assert "evidence.survey.attention_failed &gt;= 2" in page  # the old explanation
    assert "evidence.survey.attention_failed &gt;= 1" in page  # beside the new one


async def test_another_folder_is_compared_and_each_difference_named(start: Start, tmp_path: Path) -> None:
    stricter = str(write_rules(tmp_path / "stricter", STRICTER))
    same = str(write_rules(tmp_path / "same", RULES))
    async with start(RULES) as world:
        await decided(world, attention_failed=1)
        found = await command(world, tmp_path, "--rules", stricter, "--against", same, "--json")
    said = json.loads(found.stdout)
    assert said["matrix"] == {"approve": {"reject": 1}}
    [cause] = said["causes"]
    assert (cause["rule"], cause["difference"], cause["changes"]) == ("failed two checks", "changed", 1)


async def test_prolifics_list_serves_a_study_that_was_never_seen(start: Start, tmp_path: Path) -> None:
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


async def test_what_prolific_shows_is_compared(start: Start, tmp_path: Path) -> None:
    stricter = str(write_rules(tmp_path / "stricter", STRICTER))
    async with start(RULES) as world:
        await decided(world, attention_failed=1)
        found = await command(world, tmp_path, "--rules", stricter, "--against", "prolific", "--json")
    said = json.loads(found.stdout)
    assert said["matrix"] == {"approve": {"reject": 1}}
    assert said["changed"][0]["manual"] is False
