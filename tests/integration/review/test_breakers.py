"""A limit that is reached stays shut until a named person opens it; a pause holds every unsent request."""

import asyncio

import psycopg
import pytest

from service.domain.decision import Guard, Outcome
from service.domain.submission import Status
from service.manual.pause import Unnamed, pause, resume
from service.sandbox.faults import Fault
from service.sandbox.model import By, SimSubmission
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.review.limiting import (
    CODES,
    REJECT_ALL,
    decide,
    each,
    newest,
    of_both_studies,
    open_breakers,
    outcome,
    pause_rows,
    pause_study,
    race,
    resume_study,
    rows,
)
from tests.jobs import make_due
from tests.world import World, rules_text, until

R, A, Q, H = Outcome.REJECT, Outcome.APPROVE, Outcome.REQUEST_RETURN, Outcome.HOLD
FIVE = "limits: {reject: {share: 50%, of_last: 10}}"


async def opened(world: World) -> SimSubmission:
    """The submission whose rejection opened the study's breaker, the fourth by the default limit."""
    for _ in range(3):
        assert await outcome(world, R) is R
    fourth = world.completed(code=CODES[R])
    assert (await decide(world, fourth)).decision.outcome is H
    return fourth


async def test_after_the_first_refusal_all_are_held_though_the_share_would_allow_more(start: Start) -> None:
    async with start(each(FIVE)) as world:
        await opened(world)
        for _ in range(6):
            assert await outcome(world, A) is A
        # Three rejections among ten are less than half; the breaker is still open.
        recorded = await decide(world, world.completed(code=CODES[R]))
        assert (recorded.decision.outcome, recorded.decision.guard) == (H, Guard.LIMIT_REJECT)
        assert recorded.decision.proposed is R
        assert recorded.decision.action is None
        assert f"`autoreview resume --study {STROOP}`" in recorded.decision.reason


async def test_other_outcomes_go_on(start: Start) -> None:
    async with start(each()) as world:
        await opened(world)
        assert [await outcome(world, wanted) for wanted in (A, Q, H, A)] == [A, Q, H, A]


async def test_api_shows_what_opened_a_breaker_and_when(start: Start) -> None:
    async with start(each()) as world:
        fourth = await opened(world)
        [breaker] = (await world.api("status"))["breakers"]
        [decision] = await world.decisions(fourth.id)
        assert {key: breaker[key] for key in ("study", "limit", "decision_id", "reason")} == {
            "study": STROOP,
            "limit": "limit.reject",
            "decision_id": decision["id"],
            "reason": decision["reason"],
        }
        assert breaker["since"] is not None
        for _ in range(3):
            assert await outcome(world, R) is H
        assert (await world.api("status"))["breakers"] == [breaker], "it opens once"


async def test_one_study_breaker_holds_no_other_study(start: Start) -> None:
    async with start(of_both_studies(each())) as world:
        await opened(world)
        assert await outcome(world, R, study=TWO_PARTS) is R


async def test_it_survives_a_restart_and_is_shared_by_replicas(start: Start) -> None:
    async with start(each(FIVE)) as world:
        await opened(world)
        sandbox = world.sandbox
    async with (
        start(each(FIVE), sandbox=sandbox) as world,
        start(each(FIVE), sandbox=sandbox) as replica,
    ):
        for one in (world, replica):
            for _ in range(5):
                assert await outcome(one, A) is A
            assert await outcome(one, R) is H
            assert await open_breakers(one) == [(STROOP, "limit.reject")]
        await resume_study(replica)
        assert await open_breakers(world) == [], "what was held has become three rejections in a new window"
        assert await outcome(world, R) is H


async def test_new_rules_and_larger_limits_do_not_close_it(start: Start) -> None:
    async with start(each()) as world:
        await opened(world)
        sandbox = world.sandbox
    async with start(each("limits: {reject: {share: 100%}}"), sandbox=sandbox) as world:
        await world.at_rest()
        assert await outcome(world, R) is H
        await resume_study(world)
        assert await outcome(world, R) is R


@pytest.mark.parametrize("scope", [None, TWO_PARTS])
async def test_only_a_resume_of_its_own_study_closes_it(start: Start, scope: str | None) -> None:
    async with start(of_both_studies(each())) as world:
        await opened(world)
        await resume_study(world, scope)
        assert await open_breakers(world) == [(STROOP, "limit.reject")]
        assert await outcome(world, R) is H
        await resume_study(world)
        assert await open_breakers(world) == []


async def test_only_a_resume_of_the_service_closes_the_services(start: Start) -> None:
    async with start(each(), limit_reject_per_day=1) as world:
        assert [await outcome(world, R) for _ in range(2)] == [R, H]
        await resume_study(world, STROOP)
        assert await open_breakers(world) == [(None, "limit.reject")]
        recorded = await decide(world, world.completed(code=CODES[R]))
        assert "`autoreview resume`: " in recorded.decision.reason
        held = world.completed(code=CODES[A])
        await resume_study(world, None)
        assert await open_breakers(world) == [(None, "limit.reject")], (
            "of the two that were held one was too many"
        )
        assert (await decide(world, held)).decision.outcome is A
        assert pause_rows(world.service.database.url) == [
            (None, "open", "limit.reject"),
            (STROOP, "resume", None),
            (None, "resume", None),
            (None, "open", "limit.reject"),
        ]


async def test_closing_a_breaker_needs_name_and_reason(start: Start) -> None:
    async with start(each()) as world:
        await opened(world)
        for by, reason in (("", "Fine."), ("  ", "Fine."), ("Ada", " ")):
            with pytest.raises(Unnamed):
                async with world.service.database.begin() as connection:
                    await resume(connection, STROOP, by, reason)
            with pytest.raises(Unnamed):
                async with world.service.database.begin() as connection:
                    await pause(connection, STROOP, by, reason)
        assert await open_breakers(world) == [(STROOP, "limit.reject")]


async def test_closing_it_reviews_again_what_was_held_and_opens_again_when_that_is_too_many(
    start: Start,
) -> None:
    """Twelve that all want to be rejected: three each time a person closes it, the older ones first."""
    async with start(rules_text(REJECT_ALL)) as world:
        submissions = [world.completed() for _ in range(12)]
        for one in submissions:
            await decide(world, one)
        held = 9
        while held:
            assert await open_breakers(world) == [(STROOP, "limit.reject")]
            assert await resume_study(world) == held
            held -= 3
            assert sum(one.status is Status.AWAITING_REVIEW for one in submissions) == held
        assert {one.status for one in submissions} == {Status.REJECTED}
        assert {one["trigger"] for one in await newest(world, submissions[3:])} == {"rules"}
    kinds = [kind for _, kind, _ in pause_rows(world.service.database.url)]
    assert kinds == ["open", "resume"] * 3


async def test_closing_it_begins_a_new_window(start: Start) -> None:
    """What was decided before counts neither for nor against: no rejection, and no approval that allows more."""
    async with start(each("limits: {reject: {share: 50%, per_day: 6}}")) as world:
        for wanted in (A, A, A, A, A, R, R, R, R, R):
            assert await outcome(world, wanted) is wanted
        held = [world.completed(code=CODES[R]) for _ in range(2)]
        for one in held:
            assert (await decide(world, one)).decision.outcome is H
        await resume_study(world)
        assert {one.status for one in held} == {Status.REJECTED}, "with seven on this day"
        assert [await outcome(world, R) for _ in range(2)] == [R, H], (
            "four of the four since then are too many"
        )


async def test_a_pause_that_ends_begins_no_new_window(start: Start) -> None:
    async with start(each()) as world:
        for _ in range(3):
            assert await outcome(world, R) is R
        await pause_study(world)
        await resume_study(world)
        assert await outcome(world, R) is H


async def test_eight_replicas_that_review_again_what_was_held_stay_within_the_limit(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(REJECT_ALL)) as world:
        submissions = [world.completed() for _ in range(24)]
        await race(world, submissions)
        async with world.service.database.begin() as connection:
            await resume(connection, STROOP, "Ada", "Looked at it.")
        waiting = [one for one in submissions if one.status is Status.AWAITING_REVIEW]
        await race(world, waiting)  # while the worker does the same
        await world.at_rest()
        assert sum(one.status is Status.REJECTED for one in submissions) == 6
    assert [kind for _, kind, _ in pause_rows(database_url)] == ["open", "resume", "open"]


async def test_what_is_held_by_it_is_reviewed_again_without_another_row(start: Start) -> None:
    async with start(each()) as world:
        fourth = await opened(world)
        await outcome(world, R)  # held with another sentence: that the breaker is open
        await world.tell(fourth.id)
        await world.at_rest()
        assert len(await world.decisions(fourth.id)) == 1


# Pauses


async def test_while_a_study_is_paused_nothing_of_it_is_sent(start: Start) -> None:
    async with start(of_both_studies(each())) as world:
        await pause_study(world)
        submissions = {wanted: world.completed(code=CODES[wanted]) for wanted in (R, Q, A)}
        for wanted, one in submissions.items():
            recorded = await decide(world, one)
            assert (recorded.decision.outcome, recorded.decision.guard) == (H, Guard.PAUSED)
            assert recorded.decision.proposed is wanted
            assert recorded.decision.reason == "This study is paused by Ada: Something is odd."
        assert world.sandbox.calls == []
        other = world.completed(study=TWO_PARTS, code="B0THPART")
        assert (await decide(world, other)).decision.outcome is A
        await resume_study(world)
        assert [one["outcome"] for one in await newest(world, list(submissions.values()))] == [R, Q, A]


async def test_while_the_service_is_paused_nothing_is_sent_at_all(start: Start) -> None:
    async with start(of_both_studies(each())) as world:
        await pause_study(world, None)
        assert (await world.api("status"))["paused"] is True
        submissions = [world.completed(), world.completed(study=TWO_PARTS, code="B0THPART")]
        for one in submissions:
            assert (await decide(world, one)).decision.reason.startswith("The service is paused by Ada")
        await resume_study(world, STROOP)
        assert {one.status for one in submissions} == {Status.AWAITING_REVIEW}, "the service is still paused"
        await resume_study(world, None)
        assert {one.status for one in submissions} == {Status.APPROVED}


async def test_what_is_held_by_a_pause_reaches_no_limit(start: Start) -> None:
    async with start(rules_text(REJECT_ALL)) as world:
        await pause_study(world)
        for _ in range(5):
            assert await outcome(world, R) is H
        assert await open_breakers(world) == []


async def pending(world: World, fault: Fault) -> SimSubmission:
    """A submission whose decision was tried once and is to be tried again, when the pause comes."""
    world.prolific.add(fault)
    submission = world.completed()
    await world.tell(submission.id)

    async def look() -> bool:
        found = await world.decisions(submission.id)
        return bool(found and found[0]["status"] == "pending" and found[0]["attempts"])

    await until(look, "a decision that is tried again")
    await pause_study(world)
    return submission


async def next_try(world: World, submission: SimSubmission) -> None:
    """Wait until the submission was reviewed again and the result is recorded."""
    looks = world.prolific.seen.count("submission")

    async def looked() -> bool:
        return world.prolific.seen.count("submission") > looks

    await until(looked, "another look")
    await world.at_rest()


async def test_what_was_not_sent_when_the_pause_came_is_held(start: Start) -> None:
    """Prolific said no, so nothing of it can have arrived."""
    async with start() as world:
        submission = await pending(world, Fault("transition", 400))
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["outcome"], decision["guard"]) == ("hold", "paused")
        assert (await world.decisions(submission.id))[1]["status"] == "superseded"
        assert world.prolific.seen.count("transition") == 1
        await resume_study(world)
        assert submission.status is Status.APPROVED


async def test_what_may_have_arrived_when_the_pause_came_and_did_is_on_record_as_done(start: Start) -> None:
    async with start() as world:
        submission = await pending(world, Fault("transition", 503, took_effect=True))
        decision = await world.settled(submission.id)
        assert (decision["outcome"], decision["status"]) == ("approve", "already")


async def test_what_may_have_arrived_is_not_sent_again_while_paused_but_afterwards(start: Start) -> None:
    async with start() as world:
        submission = await pending(world, Fault("transition", 503))
        await next_try(world, submission)
        assert world.prolific.seen.count("transition") == 1
        await resume_study(world)
        await make_due(world.service.database.url, submission=submission.id)
        decision = await world.settled(submission.id)
        assert (decision["outcome"], decision["status"]) == ("approve", "applied")
        assert submission.status is Status.APPROVED


async def test_what_arrived_late_during_a_pause_is_on_record_as_done_once_resumed(start: Start) -> None:
    """Prolific answered 503 but applied the request during the pause: no other decision replaced it."""
    async with start(rules_text(REJECT_ALL)) as world:
        submission = await pending(world, Fault("transition", 503))
        await next_try(world, submission)
        world.sandbox.change(submission, Status.REJECTED, By.API, notify=False)
        await resume_study(world)
        await make_due(world.service.database.url, submission=submission.id)
        await world.at_rest()
        found = [(one["outcome"], one["status"]) for one in await world.decisions(submission.id)]
        assert found == [("reject", "already")]


@pytest.mark.parametrize("scope", [None, STROOP])
async def test_hold_recorded_during_a_resume_is_reviewed_again(
    start: Start, database_url: str, scope: str | None
) -> None:
    """A decision that saw the pause and is not yet written: the resume waits for it, so nothing is left behind."""
    async with start() as world:
        await pause_study(world, scope)
        submission = world.completed()
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute("LOCK TABLE decisions IN SHARE MODE")  # none can be written meanwhile
            deciding = asyncio.create_task(decide(world, submission))
            await until(lambda: blocked(database_url, 1), "the decision to be about to be written")
            resuming = asyncio.create_task(resume_study(world, scope))

            async def waits_or_is_done() -> bool:
                return resuming.done() or await blocked(database_url, 2)

            await until(waits_or_is_done, "the resume to wait")
        assert (await deciding).decision.guard is Guard.PAUSED
        assert await resuming == 1
        assert submission.status is Status.APPROVED


async def blocked(database_url: str, number: int) -> bool:
    """Whether so many wait for a lock in this database."""
    query = """
        SELECT count(*) AS number FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    return bool(rows(database_url, query)[0]["number"] >= number)
