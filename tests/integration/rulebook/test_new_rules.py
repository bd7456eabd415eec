"""New rules are stored by their hash, and review held and observed submissions again."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg

from service.app import Parts
from service.domain.decision import Mode
from service.domain.submission import Status, Submission
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rulebook.startup import last_good_rules
from service.rulebook.watcher import RuleWatcher, version_in_force
from service.rules import load
from service.sandbox.model import By
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.rulebooks import decided_under_other_rules
from service.store.submissions import save_submission
from service.telemetry.metrics import Metrics
from tests.conftest import Start
from tests.world import World, hash_of, in_force, rules_text, until, write_rules

HOLD = rules_text(otherwise="hold")
APPROVE = rules_text(otherwise="approve")


def kept(database_url: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT hash, file, text FROM rule_files ORDER BY first_loaded_at"
        ).fetchall()


async def test_rule_file_is_kept_by_its_hash_byte_for_byte(
    start: Start, tmp_path: Path, database_url: str
) -> None:
    marked = "\ufeff" + APPROVE.replace("\n", "\r\n")
    async with start(HOLD) as world:
        (tmp_path / "rules" / "rules.yaml").write_bytes(marked.encode())
        await in_force(world, marked)
        await until(lambda: asyncio.to_thread(lambda: len(kept(database_url)) == 2), "both to be kept")
    assert kept(database_url) == [
        (hash_of(HOLD), "rules.yaml", HOLD),
        (hash_of(marked), "rules.yaml", marked),
    ]
    good = await last_good_rules(database_url)
    assert good is not None
    assert [(file.path, file.hash) for file in good.files] == [("rules.yaml", hash_of(marked))]


async def test_unclaimed_submission_is_reviewed_when_a_file_names_the_parent_study(
    database_url: str, tmp_path: Path
) -> None:
    book, database = load(write_rules(tmp_path / "rules", APPROVE)), Database(database_url)
    async with database.begin() as connection:
        for name, parent in (("ours", STROOP), ("other", TWO_PARTS), ("alone", None)):
            seen = Submission(name, f"study of {name}", None, Status.AWAITING_REVIEW, parent_study_id=parent)
            await save_submission(connection, seen, claimed=False)
        assert await decided_under_other_rules(connection, partial(version_in_force, book, Mode.LIVE)) == [
            "ours"
        ]
    await database.close()


async def test_last_valid_rules_are_the_newest_even_if_loaded_before(
    start: Start, tmp_path: Path, database_url: str
) -> None:
    async with start(HOLD) as world:
        for text in (APPROVE, HOLD):
            await until(lambda: last_good_rules(database_url), "the book to be kept")
            write_rules(tmp_path / "rules", text)
            await in_force(world, text)

        async def hold_again() -> bool:
            good = await last_good_rules(database_url)
            return bool(good and good.files[0].hash == hash_of(HOLD))

        await until(hold_again, "the newest book")


async def outcomes(world: World, submissions: Iterable[str]) -> list[list[tuple[str, str]]]:
    return [[(row["trigger"], row["outcome"]) for row in await world.decisions(one)] for one in submissions]


async def test_new_rules_review_held_submissions_once(start: Start, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        held = [world.completed() for _ in range(5)]
        for one in held:
            await world.reviewed(one)
        gone = world.completed()
        await world.reviewed(gone)
        world.sandbox.change(gone, Status.RETURNED, By.PARTICIPANT, notify=False)
        write_rules(tmp_path / "rules", APPROVE)
        for one in held:
            await world.settled(one.id, decisions=2)
        expected = [("rules", "approve"), ("webhook", "hold")]
        assert await outcomes(world, [one.id for one in held]) == [expected] * 5
        assert [len(world.calls(one.id)) for one in held] == [1] * 5
        assert await outcomes(world, [gone.id]) == [[("webhook", "hold")]]


async def test_new_rules_leave_other_studies_and_approvals_unchanged(start: Start, tmp_path: Path) -> None:
    """The file of another study reviews nothing again."""
    async with start(HOLD) as world:
        one = world.completed()
        await world.reviewed(one)
        other = APPROVE.replace(STROOP, TWO_PARTS)
        write_rules(tmp_path / "rules", other, "other.yaml")
        await in_force(world, HOLD, other)
        await world.reviewed(world.completed(study=TWO_PARTS, code="B0THPART"))
        assert len(await world.decisions(one.id)) == 1


async def test_raised_mode_reviews_observed_decisions_again(start: Start, tmp_path: Path) -> None:
    async with start(APPROVE, mode="observe") as world:
        one = world.completed()
        assert (await world.reviewed(one))["status"] == "observed"
        sandbox = world.sandbox
    async with start(APPROVE, sandbox=sandbox) as world:
        decision = await world.settled(one.id, decisions=2)
        assert (decision["trigger"], decision["status"]) == ("rules", "applied")


async def test_new_rule_file_reviews_unclaimed_submissions_of_its_study(start: Start, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        one = world.completed(study=TWO_PARTS, code="B0THPART")
        await world.tell(one.id)
        await world.at_rest()
        write_rules(tmp_path / "rules", APPROVE.replace(STROOP, TWO_PARTS), "other.yaml")
        assert (await world.settled(one.id))["trigger"] == "rules"


async def test_new_rules_keep_a_manual_hold(start: Start, tmp_path: Path, database_url: str) -> None:
    async with start(HOLD) as world:
        one, two = world.completed(), world.completed()
        for each in (one, two):
            await world.reviewed(each)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO decisions (submission_id, study_id, decided_at, trigger, outcome, proposed, mode,"
                " reason, trace, facts) VALUES (%s, %s, now(), 'person', 'hold', 'hold', 'live', 'why', '[]', '{}')",
                (one.id, STROOP),
            )
        write_rules(tmp_path / "rules", APPROVE)
        await world.settled(two.id, decisions=2)
        assert [row["trigger"] for row in await world.decisions(one.id)] == ["person", "webhook"]


@asynccontextmanager
async def keepers(database_url: str, rules: Path, number: int, clock: list[float]) -> AsyncIterator[None]:
    """Run this many processes with an idle worker until each has stored the rules."""
    databases = [Database(database_url) for _ in range(number)]
    in_force = [RulesInForce(load(rules), datetime.now(UTC)) for _ in databases]
    found = [
        RuleWatcher(*(force, database, Mode.LIVE, Metrics(), True, 0.02), timer=lambda: clock[0])
        for force, database in zip(in_force, databases, strict=True)
    ]
    running = [asyncio.create_task(keeper.run()) for keeper in found]

    async def done() -> bool:
        return all(keeper.kept for keeper in found)

    await until(done, "all to have kept the book")
    yield
    for task in running:
        task.cancel()
    for database in databases:
        await database.close()


async def test_new_rules_on_several_replicas_enqueue_a_review_once(
    start: Start, tmp_path: Path, database_url: str
) -> None:
    async with start(HOLD) as world:
        await world.reviewed(world.completed())
    async with keepers(database_url, write_rules(tmp_path / "rules", APPROVE), 4, [0.0]):
        assert rules_jobs(database_url) == 1


async def test_review_by_a_process_with_older_rules_is_enqueued_again(
    start: Start, tmp_path: Path, database_url: str
) -> None:
    clock = [0.0]
    async with start(HOLD) as world:
        await world.reviewed(world.completed())
    async with keepers(database_url, write_rules(tmp_path / "rules", APPROVE), 1, clock):
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM procrastinate_jobs")
        clock[0] += 60
        await until(lambda: asyncio.to_thread(rules_jobs, database_url), "the review")


async def test_web_and_worker_processes_reload_rules_independently(start: Start, tmp_path: Path) -> None:
    async with start(HOLD, parts=Parts(web=True, worker=False)) as web:
        submission = web.completed()
        async with start(HOLD, parts=Parts(web=False, worker=True), sandbox=web.sandbox) as worker:
            await web.reviewed(submission)
            write_rules(tmp_path / "rules", APPROVE)
            await web.settled(submission.id, decisions=2)
            assert "autoreview_rules_broken 0.0" in (await worker.http.get("/metrics")).text
        await in_force(web, APPROVE)


def rules_jobs(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'trigger' = 'rules'"
        ).fetchone()
        assert row is not None
        return int(row[0])
