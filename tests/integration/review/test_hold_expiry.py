"""``hold_at_most``: holds that are unresolved by then are approved."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.domain.decision import Guard, Hold, Outcome
from service.domain.submission import Status
from service.manual.decide import ManualDecision, resolve
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.review.limiting import (
    CODES,
    REJECT_ALL,
    Ahead,
    decide,
    each,
    make_due,
    newest,
    open_breakers,
    outcome,
    pause_study,
    resume_study,
    timer,
)
from tests.world import MESSAGE, World, in_force, rules_text, until, write_rules

R, A, Q, H = Outcome.REJECT, Outcome.APPROVE, Outcome.REQUEST_RETURN, Outcome.HOLD
FOR_THREE_DAYS = "hold_at_most: 72h"
NEEDS_EVIDENCE = """
  - name: gibberish
    when: evidence.survey.gibberish > 0.9
    hold: It reads like gibberish.
"""


def held_for_three_days(rules: str = "", **options: Any) -> str:
    return rules_text(rules or "[]", more=FOR_THREE_DAYS, **{"otherwise": "hold", **options})


async def after(world: World, clock: Ahead, submission: SimSubmission, **time: float) -> dict[str, Any]:
    """What comes of a hold when its timer rings so much later."""
    before = len(await world.decisions(submission.id))
    clock.pass_(**time)
    make_due(world.service.database.url, submission)
    return await world.settled(submission.id, decisions=before + 1)


def has_expired(decision: dict[str, Any], proposed: str = "hold") -> bool:
    found = {key: decision[key] for key in ("outcome", "guard", "proposed", "status")}
    return found == {
        "outcome": "approve",
        "guard": "hold_expired",
        "proposed": proposed,
        "status": "applied",
    }


async def test_hold_that_was_not_reviewed_is_approved(start: Start) -> None:
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        held = await world.reviewed(submission)
        assert (held["outcome"], held["guard"]) == ("hold", None)
        ends = datetime.fromisoformat(held["decided_at"]) + timedelta(hours=72)
        assert (
            datetime.fromisoformat(held["recheck_at"])
            == ends
            == timer(world.service.database.url, submission)
        )
        decision = await after(world, clock, submission, hours=72, minutes=1)
        assert has_expired(decision)
        assert decision["trigger"] == "recheck"
        assert decision["action"] == {"endpoint": "transition", "body": {"action": "APPROVE"}}
        assert decision["reason"] == (
            f"Approved, because the hold was not resolved within 72 hours. It was held: {held['reason']}"
        )
        assert submission.status is Status.APPROVED
        assert timer(world.service.database.url, submission) is None
        assert (await world.api("holds"))["results"] == []


async def test_not_a_minute_earlier(start: Start) -> None:
    """A timer that fires too early is set again."""
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        held = await world.reviewed(submission)
        clock.pass_(hours=71, minutes=59)
        make_due(world.service.database.url, submission)

        async def set_again() -> bool:
            found = timer(world.service.database.url, submission)
            return found == datetime.fromisoformat(held["recheck_at"])

        await until(set_again, "the timer to be set once more")
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 1
        assert has_expired(await after(world, clock, submission, minutes=2))


async def test_without_it_nothing_ends(start: Start) -> None:
    clock = Ahead()
    async with start(each(), clock=clock) as world:
        submission = world.completed(code=CODES[H])
        held = await world.reviewed(submission)
        assert held["recheck_at"] is None
        assert timer(world.service.database.url, submission) is None
        clock.pass_(days=20)
        await world.tell(submission.id)
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 1


async def test_the_rules_outcome_stays_on_record(start: Start) -> None:
    """Held by the limit on rejections: `proposed` is what the rules said."""
    clock = Ahead()
    rules = rules_text(REJECT_ALL, more=f"{FOR_THREE_DAYS}\nlimits: {{reject: {{per_day: 0}}}}")
    async with start(rules, clock=clock) as world:
        submission = world.completed()
        held = await world.reviewed(submission)
        assert held["guard"] == "limit.reject"
        assert has_expired(await after(world, clock, submission, hours=73), "reject")
        assert await open_breakers(world) == [(STROOP, "limit.reject")], "only a person closes it"


async def test_new_facts_do_not_start_it_again(start: Start) -> None:
    clock = Ahead()
    async with start(held_for_three_days(NEEDS_EVIDENCE), clock=clock) as world:
        submission = world.completed()
        first = await world.reviewed(submission)
        for number, score in enumerate((0.91, 0.95, 0.99)):
            clock.pass_(hours=20)
            await world.push(submission.id, {"gibberish": score})
            held = await world.settled(submission.id, decisions=number + 2)
            assert held["recheck_at"] == first["recheck_at"]
        assert has_expired(await after(world, clock, submission, hours=12, minutes=1))


async def test_any_review_after_the_end_approves(start: Start) -> None:
    """Not only the timer: its job may have been lost."""
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        clock.pass_(hours=73)
        assert has_expired(await world.reviewed(submission))


async def test_another_decision_in_between_begins_a_new_run(start: Start) -> None:
    """Held, then asked to return, then held again: the three days count from the second hold."""
    clock = Ahead()
    rules = f"""
  - name: score is very high
    when: evidence.survey.gibberish > 0.95
    reject: {{category: LOW_EFFORT, message: "{MESSAGE}"}}
  - name: score is high
    when: evidence.survey.gibberish > 0.5
    request_return: {{reasons: ["It reads like gibberish."]}}
    recheck_after: 14d
"""
    async with start(held_for_three_days(rules), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        clock.pass_(hours=70)
        await world.push(submission.id, {"gibberish": 0.9})
        assert (await world.settled(submission.id, decisions=2))["outcome"] == "request_return"
        clock.pass_(hours=10)
        await world.push(submission.id, {"gibberish": 0.99})
        held = await world.settled(submission.id, decisions=3)
        assert (held["guard"], held["outcome"]) == ("already_asked", "hold")
        assert datetime.fromisoformat(held["recheck_at"]) - datetime.fromisoformat(
            held["decided_at"]
        ) == timedelta(hours=72)
        assert has_expired(await after(world, clock, submission, hours=72, minutes=1), "reject")


async def test_waiting_for_evidence_is_no_hold(start: Start) -> None:
    """The three days begin when nothing is waited for any more."""
    clock = Ahead()
    rules = held_for_three_days(NEEDS_EVIDENCE).replace("from: push", "from: push\n    wait: 100h")
    async with start(rules, clock=clock) as world:
        submission = world.completed()
        waiting = await world.reviewed(submission)
        assert (waiting["outcome"], waiting["guard"]) == ("hold", "waiting")
        held = await after(world, clock, submission, hours=101)
        assert (held["outcome"], held["guard"]) == ("hold", "undecidable")
        assert has_expired(await after(world, clock, submission, hours=72, minutes=1))


async def test_what_is_only_observed_does_not_end(start: Start) -> None:
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock, mode="observe") as world:
        submission = world.completed()
        observed = await world.reviewed(submission)
        assert (observed["status"], observed["recheck_at"]) == ("observed", None)
        assert timer(world.service.database.url, submission) is None
        clock.pass_(hours=100)
        await world.tell(submission.id)
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 1
        sandbox = world.sandbox
    async with start(held_for_three_days(), clock=clock, sandbox=sandbox) as world:
        held = await world.settled(submission.id, decisions=2)
        assert (held["outcome"], held["status"]) == ("hold", "held")
        ends = datetime.fromisoformat(held["decided_at"]) + timedelta(hours=72)
        assert datetime.fromisoformat(held["recheck_at"]) == ends, "observed days don't count"


async def test_approve_only_applies_it(start: Start) -> None:
    clock = Ahead()
    async with start(rules_text(REJECT_ALL, more=FOR_THREE_DAYS), clock=clock, mode="approve-only") as world:
        submission = world.completed()
        held = await world.reviewed(submission)
        assert (held["guard"], held["proposed"]) == ("mode", "reject")
        assert has_expired(await after(world, clock, submission, hours=73), "reject")
        assert submission.status is Status.APPROVED


def age(world: World, **time: float) -> None:
    """As if all that was decided, paused and resumed so far had been so much earlier."""
    with psycopg.connect(world.service.database.url) as connection:
        connection.execute("SET session_replication_role = replica")  # else rows are only ever added
        connection.execute("UPDATE decisions SET decided_at = decided_at - %s", [timedelta(**time)])
        connection.execute("UPDATE brakes SET at = at - %s", [timedelta(**time)])


@pytest.mark.parametrize("study", [STROOP, None])
async def test_a_pause_holds_it_and_it_counts_anew_from_the_resume(start: Start, study: str | None) -> None:
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        await pause_study(world, study)
        age(world, hours=73)
        held = await after(world, clock, submission)
        assert (held["outcome"], held["guard"]) == ("hold", "paused")
        assert world.sandbox.calls == []
        await resume_study(world, study)
        held = (await newest(world, [submission]))[0]
        assert (held["outcome"], held["guard"]) == ("hold", None)
        ends = datetime.fromisoformat(held["recheck_at"])
        assert timedelta(hours=71) < ends - clock() < timedelta(hours=73)
        assert timer(world.service.database.url, submission) == ends
        assert has_expired(await after(world, clock, submission, hours=72, minutes=1))


async def test_what_was_not_looked_at_while_paused_counts_anew_and_its_timer_too(start: Start) -> None:
    """The earlier timer fires before the time is over, and is set again."""
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        await pause_study(world)
        age(world, hours=100)
        await resume_study(world)
        make_due(world.service.database.url, submission)

        async def set_again() -> bool:
            found = timer(world.service.database.url, submission)
            return found is not None and timedelta(hours=71) < found - clock() < timedelta(hours=73)

        await until(set_again, "the timer to be set once more")
        await world.at_rest()
        assert [one["outcome"] for one in await world.decisions(submission.id)] == ["hold"]
        assert has_expired(await after(world, clock, submission, hours=72, minutes=1))


async def test_a_resume_that_ends_no_pause_gives_no_new_time(start: Start) -> None:
    async with start(held_for_three_days()) as world:
        submission = world.completed()
        await world.reviewed(submission)
        await pause_study(world)
        await resume_study(world)
        age(world, hours=73)
        await resume_study(world)
        assert has_expired((await newest(world, [submission]))[0])


async def test_what_only_the_pause_holds_does_not_end(start: Start) -> None:
    """No decision of the rules waits for a person there: it is sent once resumed."""
    clock = Ahead()
    async with start(rules_text(REJECT_ALL, more=FOR_THREE_DAYS), clock=clock) as world:
        await pause_study(world)
        submission = world.completed()
        held = await world.reviewed(submission)
        assert (held["guard"], held["recheck_at"]) == ("paused", None)
        clock.pass_(hours=100)
        await world.tell(submission.id)
        await world.at_rest()
        assert world.sandbox.calls == []
        await resume_study(world)
        assert submission.status is Status.REJECTED


async def test_what_a_person_holds_does_not_end(start: Start) -> None:
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        async with world.service.database.begin() as connection:
            held = ManualDecision(submission.id, Hold("I ask them."), "Ada", None, clock())
            await resolve(connection, held)
        assert timer(world.service.database.url, submission) is None, "a person's word cancels the timer"
        clock.pass_(hours=100)
        await world.tell(submission.id)
        await world.at_rest()
        assert (await newest(world, [submission]))[0]["by"] == "Ada"
        assert submission.status is Status.AWAITING_REVIEW


async def test_what_was_decided_before_and_reopened_does_not_end(start: Start) -> None:
    """It is never decided automatically again."""
    clock = Ahead()
    async with start(held_for_three_days(otherwise="approve"), clock=clock) as world:
        submission = world.completed()
        assert (await world.reviewed(submission))["status"] == "applied"
        world.sandbox.meddle(submission, Status.AWAITING_REVIEW, notify=False)
        held = await world.reviewed(submission)
        assert (held["outcome"], held["guard"], held["recheck_at"]) == ("hold", "reopened", None)
        clock.pass_(hours=100)
        await world.tell(submission.id)
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 2
        assert submission.status is Status.AWAITING_REVIEW


async def test_one_that_ended_and_was_reopened_does_not_end_again(start: Start) -> None:
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        assert has_expired(await after(world, clock, submission, hours=73))
        world.sandbox.meddle(submission, Status.AWAITING_REVIEW, notify=False)
        for _ in range(2):
            await world.tell(submission.id)
            await world.at_rest()
            clock.pass_(hours=100)
        assert [one["guard"] for one in await world.decisions(submission.id)] == [
            "reopened",
            "hold_expired",
            None,
        ]
        assert len(world.calls(submission.id)) == 1


@pytest.mark.parametrize(("proposed", "rejections"), [(H, ""), (R, "reject: {per_day: 0}, ")])
async def test_reward_limit_holds_an_expired_hold_again(
    start: Start, proposed: Outcome, rejections: str
) -> None:
    clock = Ahead()
    limits = f"limits: {{{rejections}approve: {{reward_per_day: 180}}}}"
    async with start(each(f"{FOR_THREE_DAYS}\n{limits}"), clock=clock) as world:
        submission = world.completed(code=CODES[proposed])
        await world.reviewed(submission)
        clock.pass_(hours=73)
        assert await outcome(world, A) is A
        held = await after(world, clock, submission)
        assert (held["outcome"], held["guard"], held["proposed"]) == ("hold", "limit.reward", proposed)
        assert submission.status is Status.AWAITING_REVIEW
        assert held["recheck_at"] is None
        assert (STROOP, "limit.reward") in await open_breakers(world)
        if proposed is H:
            await resume_study(world)
            assert has_expired((await newest(world, [submission]))[0])


async def test_it_outlives_a_restart(start: Start) -> None:
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        held = await world.reviewed(submission)
        sandbox = world.sandbox
    async with start(held_for_three_days(), clock=clock, sandbox=sandbox) as world:
        ends = datetime.fromisoformat(held["recheck_at"])
        assert timer(world.service.database.url, submission) == ends
        assert has_expired(await after(world, clock, submission, hours=73))


async def test_new_rules_that_say_so_count_from_the_first_hold(start: Start, tmp_path: Any) -> None:
    """A file that begins to say ``hold_at_most`` ends at once what was held for longer."""
    clock = Ahead()
    without = rules_text(otherwise="hold")
    async with start(without, clock=clock) as world:
        submissions = [world.completed() for _ in range(2)]
        await world.reviewed(submissions[0])
        clock.pass_(hours=70)
        await world.reviewed(submissions[1])
        clock.pass_(hours=3)
        write_rules(tmp_path / "rules", held_for_three_days())
        await in_force(world, held_for_three_days())

        async def looked_at_again() -> bool:
            return (
                all([len(await world.decisions(one.id)) == 2 for one in submissions]) and await world.idle()
            )

        await until(looked_at_again, "both to be reviewed again")
        ended, going_on = await newest(world, submissions)
        assert (ended["outcome"], ended["guard"]) == ("approve", "hold_expired")
        assert going_on["outcome"] == "hold"
        write_rules(tmp_path / "rules", without)
        await in_force(world, without)

        async def cancelled() -> bool:
            return timer(world.service.database.url, submissions[1]) is None

        await until(cancelled, "the timer to be cancelled with the line")


async def test_expired_hold_is_sent_after_a_failed_first_try(start: Start) -> None:
    """Refused at first, it doesn't begin to be held for another three days."""
    clock = Ahead()
    async with start(held_for_three_days(), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        world.prolific.add(Fault("transition", 400))
        decision = await after(world, clock, submission, hours=73)
        assert has_expired(decision)
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [400, 200]
        assert len(await world.decisions(submission.id)) == 2


async def test_one_that_was_not_sent_does_not_begin_a_new_run(start: Start) -> None:
    """Refused at first, then new facts came: it is approved as soon as nothing speaks against it."""
    clock = Ahead()
    async with start(held_for_three_days(NEEDS_EVIDENCE), clock=clock) as world:
        submission = world.completed()
        await world.reviewed(submission)
        world.prolific.add(Fault("transition", 400))
        clock.pass_(hours=73)
        make_due(world.service.database.url, submission)

        async def refused() -> bool:
            return "transition" in world.prolific.seen

        await until(refused, "the first try")
        await world.push(submission.id, {"gibberish": 0.99})
        await world.settled(submission.id, decisions=3)
        assert has_expired((await newest(world, [submission]))[0])


async def test_its_reward_counts_once_however_often_it_is_tried(start: Start) -> None:
    clock = Ahead()
    limits = "limits: {approve: {reward_per_day: 180}}"
    async with start(each(f"{FOR_THREE_DAYS}\n{limits}"), clock=clock) as world:
        submission = world.completed(code=CODES[H])
        await world.reviewed(submission)
        world.prolific.add(Fault("transition", 400))
        assert has_expired(await after(world, clock, submission, hours=73))
        assert await open_breakers(world) == []
        assert (await decide(world, world.completed())).decision.guard is Guard.LIMIT_REWARD
