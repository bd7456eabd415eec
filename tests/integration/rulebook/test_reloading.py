"""A changed rules folder is in force within seconds. A broken one is reported and changes nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.domain.decision import Mode
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rulebook.watcher import RuleWatcher, fingerprint
from service.rules import RuleBook, load
from service.sandbox.studies import STROOP, TWO_PARTS
from service.telemetry.metrics import Metrics
from tests.conftest import Start
from tests.world import World, hash_of, in_force, rules_text, until, world, write_rules

HOLD = rules_text(otherwise="hold")
APPROVE = rules_text(otherwise="approve")
OBSERVE = rules_text(more="mode: observe")
BROKEN = rules_text("\n  - name: a\n    when: submission.pase < 1.0\n    approve:\n")


async def test_edited_rule_file_is_in_force_without_restart_and_logged(start: Start, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        before = await world.rules()
        write_rules(tmp_path / "rules", APPROVE)
        await in_force(world, APPROVE)
        assert (await world.rules())["loaded_at"] > before["loaded_at"]
        decision = await world.reviewed(world.completed())
        assert (decision["outcome"], decision["rules_hash"]) == ("approve", hash_of(APPROVE))


async def test_edited_rule_file_is_in_force_within_five_seconds(start: Start, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        await in_force(world, HOLD)
        write_rules(tmp_path / "rules", APPROVE)
        async with asyncio.timeout(5):
            await in_force(world, APPROVE)


async def test_replaced_added_or_removed_rule_file_is_noticed(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    other = APPROVE.replace(STROOP, TWO_PARTS)
    async with start(HOLD) as world:
        (folder / "new").write_text(APPROVE)
        (folder / "new").rename(folder / "rules.yaml")
        await in_force(world, APPROVE)
        write_rules(folder, other, "other.yaml")
        await in_force(world, APPROVE, other)
        (folder / "rules.yaml").unlink()
        await in_force(world, other)


async def test_rules_that_change_while_they_are_read_are_noticed(database_url: str, tmp_path: Path) -> None:
    """A reading may find other rules than the look before it. The newest rules come into force."""
    for number in range(10):
        write_rules(tmp_path, APPROVE.replace(STROOP, f"65f00000000000000000{number:04}"), f"a{number}.yaml")
    folder, database = write_rules(tmp_path, HOLD), Database(database_url)
    rules = RulesInForce(load(folder), datetime.now(UTC), folder=folder)
    texts = {hash_of(text): text for text in (HOLD, APPROVE, OBSERVE)}
    last = [HOLD]

    def change(text: str) -> None:
        write_rules(folder, text)
        last[:] = [text]

    def back(book: RuleBook) -> None:
        """Bring back at once what the rules replaced."""
        if text_in_force(book) == APPROVE:
            change(OBSERVE)

    def text_in_force(book: RuleBook) -> str:
        return next(texts[file.hash] for file in book.files if file.hash in texts)

    async def is_in_force() -> bool:
        return text_in_force(rules.book) == last[0] != APPROVE

    watcher = RuleWatcher(*(rules, database, Mode.LIVE, Metrics(), False, 0.0), on_rules=back)
    watching = asyncio.create_task(watcher.run())
    for pause in range(0, 32, 2):
        change(HOLD)
        await until(is_in_force, "the first rules")
        change(OBSERVE)
        await asyncio.sleep(pause / 1000)
        change(APPROVE)
        await until(is_in_force, "the last rules")
    watching.cancel()
    await database.close()


async def test_swapped_config_map_is_noticed(database_url: str, tmp_path: Path) -> None:
    """Kubernetes links each file through ``..data``, and replaces that link."""
    for name, text in (("..1", HOLD), ("..2", APPROVE)):
        write_rules(tmp_path / name, text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "rules.yaml").symlink_to("..data/rules.yaml")
    async with world(database_url, tmp_path) as running:
        await in_force(running, HOLD)
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await in_force(running, APPROVE)


async def test_pipe_in_the_rules_folder_is_an_error_until_it_is_removed(start: Start, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        os.mkfifo(tmp_path / "rules" / "x.yaml")

        async def told() -> bool:
            return bool((await world.rules())["errors"])

        await until(told, "the pipe to be told")
        (tmp_path / "rules" / "x.yaml").unlink()
        write_rules(tmp_path / "rules", APPROVE)
        await in_force(world, APPROVE)


@asynccontextmanager
async def broken(start: Start, tmp_path: Path) -> AsyncIterator[World]:
    async with start(APPROVE) as world:
        write_rules(tmp_path / "rules", BROKEN)

        async def told() -> bool:
            return bool((await world.rules())["errors"])

        await until(told, "the error to be told")
        yield world


async def test_broken_rules_keep_the_last_valid_ones_in_force(start: Start, tmp_path: Path) -> None:
    async with broken(start, tmp_path) as world:
        decision = await world.reviewed(world.completed())
        assert (decision["status"], decision["rules_hash"]) == ("applied", hash_of(APPROVE))


async def test_broken_rules_are_reported_in_log_readyz_metrics_and_api(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{tmp_path}/rules/rules.yaml:12:11: "
    async with broken(start, tmp_path) as world:
        (error,) = (await world.rules())["errors"]
        assert error.startswith(place)
        ready = await world.http.get("/readyz?verbose")
        assert ready.status_code == 200
        detail = ready.json()["checks"]["rules"]["detail"]
        assert f"{place}RUL012" in detail
        assert "pase" not in detail, "anybody may ask; what stands in the file is not theirs to see"
        assert "autoreview_rules_broken 1.0" in (await world.http.get("/metrics")).text
    logged = capsys.readouterr().out
    assert logged.count("rules.broken") == 1
    assert place in logged


async def test_corrected_rule_file_ends_the_error(start: Start, tmp_path: Path) -> None:
    async with broken(start, tmp_path) as world:
        write_rules(tmp_path / "rules", HOLD)
        await in_force(world, HOLD)
        assert (await world.rules())["errors"] == []
        assert "autoreview_rules_broken 0.0" in (await world.http.get("/metrics")).text


async def test_reverted_rule_file_ends_the_error(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with broken(start, tmp_path) as world:
        write_rules(tmp_path / "rules", APPROVE)

        async def quiet() -> bool:
            return not (await world.rules())["errors"]

        await until(quiet, "the alarm to end")
    assert capsys.readouterr().out.count("rules.mended") == 1


async def test_ignored_file_and_source_without_a_credential_are_reported(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start(APPROVE, evidence_token=None) as world:
        write_rules(tmp_path / "rules", HOLD, "new.yaml.txt")

        async def told() -> bool:
            return any("new.yaml.txt" in one for one in (await world.rules())["warnings"])

        await until(told, "the warning")
    logged = capsys.readouterr().out
    assert "new.yaml.txt is not read: rename it to new.yaml" in logged
    assert "evidence.no_credential" in logged
    assert "AUTOREVIEW_EVIDENCE_TOKEN" in logged


async def test_missing_rules_folder_keeps_the_last_valid_rules(start: Start, tmp_path: Path) -> None:
    async with start(APPROVE) as world:
        (tmp_path / "rules").rename(tmp_path / "elsewhere")

        async def told() -> bool:
            return bool((await world.rules())["errors"])

        await until(told, "the error to be told")
        assert (await world.reviewed(world.completed()))["outcome"] == "approve"


def test_rules_fingerprint_depends_on_content_not_on_file_times(tmp_path: Path) -> None:
    folder = write_rules(tmp_path, HOLD)
    before = fingerprint(folder)
    (folder / "rules.yaml").touch()
    assert fingerprint(folder) == before
    write_rules(folder, HOLD.replace("A test", "B test"))
    assert fingerprint(folder) != before
    assert load(folder).files[0].name == "B test"
