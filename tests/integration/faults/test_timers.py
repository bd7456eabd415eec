"""Timers fire after restarts and clock changes, and not after an answer."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.domain.submission import Status
from service.sandbox.state import SandboxState
from tests.conftest import Start
from tests.integration.faults.stored import query, timers
from tests.jobs import make_due
from tests.world import MESSAGE, World, rules_text, until

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ASK = """
  - name: no code
    when: submission.code_type == "NONE"
    request_return: {reasons: ["You entered no code."]}
"""
ASK_FOR_TWO_DAYS = f"{ASK}    recheck_after: 2d\n"
REJECT_TWO = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""
WAITING = rules_text(REJECT_TWO).replace("from: push", "from: push\n    wait: 30m")
LOOK_LATER = """
  - name: look later
    when: submission.code_type == "UNKNOWN"
    hold: Somebody should look at it.
    recheck_after: 6h
"""
# By rule: what a submission enters, and when it is to be looked at again.
TIMED: dict[str, tuple[str, str | None, timedelta]] = {
    "a request to return": (rules_text(ASK), None, 7 * DAY),
    "a request to return with recheck_after": (rules_text(ASK_FOR_TWO_DAYS), None, 2 * DAY),
    "a hold with recheck_after": (rules_text(LOOK_LATER), "WR0NG", 6 * HOUR),
    "evidence.wait": (WAITING, "C0L0UR12", timedelta(minutes=30)),
}


class Shifted:
    """The service's clock, which tests put forward and back."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


async def seconds_left(url: str) -> float:
    """Of the one timer that there is."""
    (timer,) = await timers(url)
    return float(timer["wait"])


async def rung(world: World) -> None:
    """The time of the timer has come, and what follows is done."""
    await make_due(world.service.database.url, "wake")

    async def look() -> bool:
        left = await timers(world.service.database.url)
        return await world.idle() and all(timer["wait"] > 0 for timer in left)

    await until(look, "the timer to ring")


@pytest.mark.parametrize("timed", TIMED)
async def test_timer_survives_a_restart_and_fires(start: Start, database_url: str, timed: str) -> None:
    rules, code, after = TIMED[timed]
    clock = Shifted()
    async with start(rules, clock=clock) as world:
        sandbox: SandboxState = world.sandbox
        submission = world.completed(code=code)
        first = await world.reviewed(submission)
        assert datetime.fromisoformat(first["recheck_at"]) - clock() == pytest.approx(
            after, abs=timedelta(minutes=1)
        )
        assert await seconds_left(database_url) == pytest.approx(after.total_seconds(), abs=60)
    assert len(await timers(database_url)) == 1, "it is on disk"
    clock.shift = after + timedelta(minutes=1)
    async with start(rules, clock=clock, sandbox=sandbox) as world:
        assert await seconds_left(database_url) == pytest.approx(after.total_seconds(), abs=120)
        assert len(await world.decisions(submission.id)) == 1, "a restart is no reason to look"
        await rung(world)
        found = await world.decisions(submission.id)
        if timed == "a hold with recheck_after":
            assert len(found) == 1, "it comes to the same"
            wait = (clock.shift + after).total_seconds()  # PostgreSQL's clock is still at the beginning
            assert await seconds_left(database_url) == pytest.approx(wait, abs=60)
        else:
            if timed != "evidence.wait":
                assert len(found) == 1, "Prolific's clock may be behind: asked once more five minutes later"
                clock.shift += timedelta(minutes=6)
                await rung(world)
                found = await world.decisions(submission.id)
            assert [one["trigger"] for one in found] == ["recheck", "webhook"]
            assert found[0]["outcome"] == "hold"
            assert await timers(database_url) == []
        assert len([body for body in world.calls(submission.id) if body]) == (code is None)


async def returned_by_webhook(world: World, submission: str) -> None:
    world.sandbox.meddle(world.sandbox.submissions[submission], Status.RETURNED, notify=False)
    assert (await world.tell(submission, "RETURNED")).status_code == 202


async def approved_by_webhook(world: World, submission: str) -> None:
    world.sandbox.meddle(world.sandbox.submissions[submission], Status.APPROVED, notify=False)
    assert (await world.tell(submission, "APPROVED")).status_code == 202


async def evidence_arrives(world: World, submission: str) -> None:
    assert (await world.push(submission, {"attention_failed": 0})).status_code == 202


Answers = Callable[[World, str], Awaitable[None]]


@pytest.mark.parametrize(
    ("timed", "answers"),
    [
        ("a request to return", returned_by_webhook),
        ("a request to return with recheck_after", returned_by_webhook),
        ("a request to return", approved_by_webhook),
        ("a hold with recheck_after", approved_by_webhook),
        ("evidence.wait", approved_by_webhook),
        ("evidence.wait", evidence_arrives),
    ],
)
async def test_an_earlier_answer_cancels_the_timer(
    start: Start, database_url: str, timed: str, answers: Answers
) -> None:
    rules, code, _ = TIMED[timed]
    async with start(rules) as world:
        submission = world.completed(code=code)
        await world.reviewed(submission)
        assert len(await timers(database_url)) == 1
        await answers(world, submission.id)

        async def gone() -> bool:
            return await world.idle() and await timers(database_url) == []

        await until(gone, "the timer to be cancelled")


async def test_submission_has_one_timer_after_any_number_of_reviews(start: Start, database_url: str) -> None:
    async with start(rules_text(ASK)) as world:
        submission = world.completed(code=None)
        await world.reviewed(submission)
        for number in range(3):
            await world.push(submission.id, {"attention_failed": number})
            await world.at_rest()
        assert len(await world.decisions(submission.id)) == 1, "the rules still propose what was asked"
        assert await seconds_left(database_url) == pytest.approx((7 * DAY).total_seconds(), abs=60)
        assert len(world.calls(submission.id)) == 1


@pytest.mark.parametrize("step", [-HOUR, -3 * DAY, HOUR, 3 * DAY], ids=str)
async def test_clock_step_loses_no_timer(start: Start, database_url: str, step: timedelta) -> None:
    """A wait of 30 minutes ends in a decision, for any clock offset when its timer is set or fires."""
    clock = Shifted()
    async with start(WAITING, clock=clock) as world:
        submission = world.completed()
        assert (await world.reviewed(submission))["guard"] == "waiting"
        clock.shift = step
        await rung(world)
        if step < timedelta():
            assert len(await timers(database_url)) == 1, "not yet by this clock: it is set once more"
            clock.shift = HOUR
            await rung(world)
        decision = (await world.decisions(submission.id))[0]
        assert (decision["trigger"], decision["guard"]) == ("recheck", "undecidable")
        assert await timers(database_url) == []


async def test_a_clock_that_was_ahead_when_the_timer_was_set_delays_it_by_no_more(
    start: Start, database_url: str
) -> None:
    clock = Shifted()
    clock.shift = DAY
    async with start(rules_text(ASK), clock=clock) as world:
        submission = world.completed(code=None)
        await world.reviewed(submission)
        assert await seconds_left(database_url) == pytest.approx((8 * DAY).total_seconds(), abs=60)
        clock.shift = timedelta()
        await query(
            database_url, "UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - interval '8 days'"
        )
        await rung(world)
        assert len(await world.decisions(submission.id)) == 1, "the rules still propose what was asked"
        left: list[dict[str, Any]] = await timers(database_url)
        assert len(left) == 1, "by the right clock the participant has a day left"


async def test_a_rejection_may_follow_when_the_time_to_answer_is_over(
    start: Start, database_url: str
) -> None:
    clock = Shifted()
    failed = "evidence.survey.attention_failed >= 2"
    asks_first = ASK.replace('submission.code_type == "NONE"', f"{failed} && !submission.return_requested")
    async with start(rules_text(asks_first + REJECT_TWO), clock=clock) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 2})
        assert (await world.settled(submission.id))["outcome"] == "request_return"
        await world.tell(submission.id)
        held = await world.settled(submission.id, decisions=2)
        assert (held["guard"], held["proposed"]) == ("already_asked", "reject")
        assert len(await timers(database_url)) == 1
        clock.shift = 7 * DAY + HOUR
        await rung(world)
        decision = await world.settled(submission.id, decisions=3)
        assert (decision["trigger"], decision["outcome"], decision["status"]) == (
            "recheck",
            "reject",
            "applied",
        )
        assert submission.status is Status.REJECTED
        assert await timers(database_url) == []


async def test_timer_of_a_killed_worker_does_not_block_the_rescue_of_jobs(
    start: Start, database_url: str
) -> None:
    """Its review had begun, and set the next timer: two of one submission, of which one has to go."""
    async with start(rules_text(LOOK_LATER)) as world:
        ringing, left = world.completed(code="WR0NG"), world.completed()
        await world.reviewed(ringing)
        assert len(await timers(database_url)) == 1
        await query(
            database_url,
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args, status) "
            "SELECT queue_name, task_name, queueing_lock, args, 'doing' "
            "FROM procrastinate_jobs WHERE task_name = 'wake'",
        )
        await query(
            database_url,
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status) VALUES ('reviews', "
            "'review', %(id)s, jsonb_build_object('submission_id', %(id)s::text, 'trigger', 'sweep'), 'doing')",
            id=left.id,
        )
        assert (await world.settled(left.id))["status"] == "applied"

        async def one_timer() -> bool:
            return [timer["status"] for timer in await timers(database_url)] == ["todo"]

        await until(one_timer, "the one that rang to be gone")
