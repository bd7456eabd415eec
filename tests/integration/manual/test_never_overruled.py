"""A manual decision stands after new evidence, timers, sweeps, reloads and resumes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import By
from tests.conftest import Start
from tests.integration.manual.orders import (
    APPROVE,
    APPROVED,
    ASKED,
    HELD,
    HOLD,
    REJECTED,
    autoreview,
    held,
    in_attempts,
    one,
    pause,
    queue,
    resolve,
    resolved,
    resume,
)
from tests.jobs import make_due
from tests.world import MESSAGE, TOKEN, World, in_force, rules_text, until, write_rules

REJECT_TWO = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""


async def test_later_evidence_changes_nothing_of_a_persons_hold(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = await held(world)
        await resolved(world, submission, HELD)
        for failed in (0, 2):
            assert (await world.push(submission.id, {"attention_failed": failed})).status_code == 202
            await world.at_rest()
        assert await _untouched(world, submission.id, ["person", "webhook"])


async def test_later_evidence_changes_nothing_of_a_decision_on_its_way(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = await held(world)
        world.prolific.add(Fault("transition", status=503, count=2))
        await resolved(world, submission, APPROVED)
        await until(in_attempts(world, submission, 1), "an attempt")
        await world.push(submission.id, {"attention_failed": 2})
        for _ in range(2):  # the review of the evidence waits behind them
            await until(lambda: make_due(world.service.database.url, submission=submission.id), "a retry")
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["by"], decision["status"]) == ("Ada", "applied")
        assert len(await world.decisions(submission.id)) == 2
        assert submission.status is Status.APPROVED


async def test_another_webhook_changes_nothing(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, HELD)
        await world.tell(submission.id)
        await world.at_rest()
        assert await _untouched(world, submission.id, ["person", "webhook"])


async def test_new_rules_change_nothing(start: Start, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        submission, other = await held(world), await held(world)
        await resolved(world, submission, HELD)
        write_rules(tmp_path / "rules", APPROVE)
        await in_force(world, APPROVE)
        assert (await world.settled(other.id, decisions=2))["status"] == "applied"
        assert await _untouched(world, submission.id, ["person", "webhook"])


async def test_a_timer_that_was_set_before_does_not_ring(start: Start, database_url: str) -> None:
    rules = rules_text(REJECT_TWO).replace("from: push", "from: push\n    wait: 30m")
    async with start(rules) as world:
        submission = world.completed()
        assert (await world.reviewed(submission))["guard"] == "waiting"
        timers = "SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = %s AND status = 'todo'"
        assert one(database_url, timers, f"timer:{submission.id}") == 1
        await resolved(world, submission, HELD)
        assert one(database_url, timers, f"timer:{submission.id}") == 0


async def test_a_recheck_changes_nothing(start: Start, database_url: str) -> None:
    """One that was on its way when the person decided."""
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, HELD)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
                " VALUES ('reviews', 'wake', jsonb_build_object('submission_id', %s::text, 'trigger', 'recheck'))",
                (submission.id,),
            )
        await world.at_rest()
        assert await _untouched(world, submission.id, ["person", "webhook"])


async def test_a_sweep_changes_nothing(start: Start, database_url: str, tmp_path: Path) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, HELD)
        settings = {
            "database_url": database_url,
            "prolific_url": world.prolific_url,
            "prolific_token": TOKEN,
            "rules_dir": tmp_path / "rules",
        }
        assert (await autoreview("sweep", settings=settings)).returncode == 0
        await world.at_rest()
        assert await _untouched(world, submission.id, ["person", "webhook"])


async def test_a_resume_reviews_again_what_is_held_but_not_what_a_person_held(start: Start) -> None:
    async with start(HOLD) as world:
        submission, other = await held(world), await held(world)
        await resolved(world, submission, HELD)
        await pause(world)
        assert (await resume(world))["reviewed_again"] == 1
        await world.at_rest()
        assert await _untouched(world, submission.id, ["person", "webhook"])
        assert set(await queue(world)) == {submission.id, other.id}


async def test_a_retry_sends_what_the_person_decided(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        world.prolific.add(Fault("transition", status=404))
        await resolved(world, submission, REJECTED)
        assert (await world.settled(submission.id, decisions=2))["status"] == "failed"
        await resolved(world, submission, APPROVED, by="Bob")
        decision = await world.settled(submission.id, decisions=3)
        assert (decision["by"], decision["status"]) == ("Bob", "applied")


async def test_a_decision_of_this_moment_is_not_sent_over_a_persons(start: Start, database_url: str) -> None:
    """The person decides after the review has decided and before its request is sent."""
    async with start(APPROVE) as world:
        submission = world.completed()
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute("LOCK TABLE attempts IN SHARE ROW EXCLUSIVE MODE")
            await world.tell(submission.id)
            await until(_waiting(database_url, 1), "the review to write its intent")
            answering = asyncio.create_task(resolve(world, submission, REJECTED))
            await until(_waiting(database_url, 2), "the person's decision to wait too")
        answer = await answering
        await world.at_rest()
        if answer.status_code == 200:
            assert submission.status is Status.REJECTED
        else:
            assert (answer.status_code, submission.status) == (409, Status.APPROVED)
            assert len(await world.decisions(submission.id)) == 1


async def test_a_review_that_fails_does_not_take_a_persons_hold_away(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = await held(world)
        await resolved(world, submission, HELD)
        world.prolific.add(Fault("submission", status=404))
        for failed in (2, 0):
            await world.push(submission.id, {"attention_failed": failed})
            await world.at_rest()
        assert await _untouched(world, submission.id, ["person", "webhook"])


@pytest.mark.parametrize("action", [APPROVED, REJECTED])
async def test_what_is_reopened_after_a_person_is_for_people_again(start: Start, action: Any) -> None:
    """Never for rules: they would approve it."""
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, action)
        await world.settled(submission.id, decisions=2)
        world.sandbox.change(submission, Status.AWAITING_REVIEW, By.SOMEBODY, notify=False)
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["guard"], decision["trigger"]) == (
            "hold",
            "reopened",
            "webhook",
        )
        assert await queue(world) == [submission.id]
        await world.tell(submission.id)
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 3, "said once"
        await resolved(world, submission, REJECTED, by="Bob")
        assert (await world.settled(submission.id, decisions=4))["status"] == "applied"
        assert submission.status is Status.REJECTED
        assert len(world.calls(submission.id)) == 2


async def test_what_was_returned_as_a_person_asked_and_comes_back_is_for_people(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, ASKED)
        await world.settled(submission.id, decisions=2)
        await world.tell(submission.id)
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 2, "it only waits for the participant"
        await world.tell(submission.id, "RETURNED")
        await world.at_rest()
        assert (await world.reviewed(submission))["guard"] == "reopened"


async def _untouched(world: World, submission: str, triggers: list[str]) -> bool:
    found = [row["trigger"] for row in await world.decisions(submission)]
    return found == triggers and world.calls(submission) == []


def _waiting(database_url: str, number: int) -> Callable[[], Awaitable[bool]]:
    """Return True if so many sessions wait for a lock."""

    async def look() -> bool:
        waiting = await asyncio.to_thread(
            one, database_url,
            "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )  # fmt: skip
        return int(waiting) >= number

    return look


async def test_no_open_breaker_holds_a_person_back(start: Start) -> None:
    reject_all = rules_text(REJECT_TWO.replace("evidence.survey.attention_failed >= 2", '"true"'))
    async with start(reject_all) as world:
        submissions = [world.completed() for _ in range(4)]
        for submission in submissions:
            await world.reviewed(submission)
        assert [breaker["limit"] for breaker in (await world.api("status"))["breakers"]] == ["limit.reject"]
        await resolved(world, submissions[3], REJECTED)
        await world.settled(submissions[3].id, decisions=2)
        assert submissions[3].status is Status.REJECTED
