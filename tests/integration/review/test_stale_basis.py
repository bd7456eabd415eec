"""A decision whose basis changes before its request is sent, or sent again, is decided again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import By, SimSubmission
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.integration.manual.orders import APPROVED, in_attempts, resolve, resume
from tests.integration.review.limiting import Ahead, make_due, timer
from tests.integration.review.stale import (
    APPROVES,
    CHANGES,
    HOLDS,
    OBSERVES,
    REJECTS,
    Stale,
    actions,
    told,
    under_way,
)
from tests.integration.review.test_replies import asked, is_held_for_a_reply
from tests.world import rules_text, until

REFUSED = Fault("transition", status=400, count=None)
UNCLEAR = Fault("transition", status=503, count=None)

# What the new basis says, where the old request is known not to have arrived.
DECIDED_ANEW = {
    "evidence": ("approve", None, "applied"),
    "rule": ("approve", None, "applied"),
    "mode": ("reject", None, "observed"),
    "pause": ("hold", "paused", "held"),
    "breaker": ("hold", "limit.reject", "held"),
}
# What it says where the old request may have arrived: another outcome is held until that is clear.
MAY_HAVE_ARRIVED = DECIDED_ANEW | {
    "evidence": ("hold", "already_asked", "held"),
    "rule": ("hold", "already_asked", "held"),
}

Stalely = Callable[..., AbstractAsyncContextManager[Stale]]


@pytest.fixture
def stale(start: Start, tmp_path: Path) -> Stalely:
    @asynccontextmanager
    async def starting(text: str = REJECTS, **options: object) -> AsyncIterator[Stale]:
        async with start(text, **options) as world:
            yield Stale(world, tmp_path / "rules")

    return starting


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("what", CHANGES)
async def test_a_basis_that_changes_before_the_sending_is_decided_anew(
    stale: Stalely, what: str, hold: str
) -> None:
    async with stale(prolific_concurrency=1) as one:
        submission = one.world.completed()
        async with HOLDS[hold](one):
            await one.world.push(submission.id, {"attention_failed": 2})
            await under_way(one, hold)
            await one.change(what, submission)
        found = await one.decided(submission, 1)
        assert told(found[0]) == DECIDED_ANEW[what]
        assert "REJECT" not in actions(one.world, submission)
        assert all(decision["outcome"] != "reject" for decision in found if what != "mode")


@pytest.mark.parametrize("what", CHANGES)
async def test_a_basis_that_changes_after_a_refusal_is_decided_anew(stale: Stalely, what: str) -> None:
    async with stale() as one:
        submission = await one.met(REFUSED)
        await one.change(what, submission)
        newest, old = await one.decided(submission, 2)
        assert told(newest) == DECIDED_ANEW[what]
        assert (old["outcome"], old["status"]) == ("reject", "superseded")
        assert "REJECT" not in actions(one.world, submission)


@pytest.mark.parametrize("what", [what for what in CHANGES if what != "pause"])
async def test_a_basis_that_changes_after_an_unclear_answer_is_not_acted_on_twice(
    stale: Stalely, what: str, database_url: str
) -> None:
    """Nothing is sent, and the submission is fetched by its timer until Prolific shows the rejection."""
    async with stale() as one:
        submission = await one.met(UNCLEAR)
        await one.change(what, submission)
        newest, old = await one.decided(submission, 2)
        assert told(newest) == MAY_HAVE_ARRIVED[what]
        assert (old["outcome"], old["status"]) == ("reject", "superseded")
        assert timer(database_url, submission), "it is looked at again"
        make_due(database_url, submission)
        await until(lambda: _has_timer_again(one, submission), "another look")
        assert len(await one.decided(submission, 2)) == 2, "the same again adds nothing"
        one.world.sandbox.change(submission, Status.REJECTED, By.API, notify=False)
        make_due(database_url, submission)
        await until(lambda: _is_settled(one, submission), "the rejection to be recorded as done")
        assert actions(one.world, submission) == []
        assert timer(database_url, submission) is None


async def _has_timer_again(one: Stale, submission: SimSubmission) -> bool:
    return timer(one.url, submission) is not None and await one.world.idle()


async def _is_settled(one: Stale, submission: SimSubmission) -> bool:
    return "already" in [decision["status"] for decision in await one.world.decisions(submission.id)]


@pytest.mark.parametrize("what", ["evidence", "rule"])
async def test_ten_minutes_after_an_unclear_answer_it_is_decided_anew(
    stale: Stalely, what: str, database_url: str
) -> None:
    async with stale() as one:
        submission = await one.met(UNCLEAR)
        await one.change(what, submission)
        await one.decided(submission, 2)
        await query(database_url, "ALTER TABLE attempts DISABLE TRIGGER attempts_only_added")
        await query(database_url, "UPDATE attempts SET at = at - interval '10 minutes'")
        await query(database_url, "ALTER TABLE attempts ENABLE TRIGGER attempts_only_added")
        make_due(database_url, submission)
        found = await one.decided(submission, 3)
        assert told(found[0]) == ("approve", None, "applied")
        assert actions(one.world, submission) == ["APPROVE"]


async def test_what_a_later_decision_did_is_not_recorded_of_an_earlier_one_too(stale: Stalely) -> None:
    async with stale() as one:
        submission = await one.met(UNCLEAR)
        await one.new_rules(APPROVES)
        await one.decided(submission, 2)
        await one.new_rules(REJECTS)
        await one.decided(submission, 3)
        await one.world.tell(submission.id)
        await one.world.at_rest()
        statuses = [each["status"] for each in await one.world.decisions(submission.id)]
        assert statuses == ["applied", "held", "superseded"]
        assert actions(one.world, submission) == ["REJECT"]


async def test_an_unclear_answer_and_an_unchanged_basis_are_sent_again(stale: Stalely) -> None:
    async with stale() as one:
        submission = await one.met(UNCLEAR)
        (only,) = await one.decided(submission, 1)
        assert told(only) == ("reject", None, "applied")
        assert actions(one.world, submission) == ["REJECT"]


async def test_a_pause_after_an_unclear_answer_keeps_it_from_being_sent_until_the_resume(
    stale: Stalely,
) -> None:
    async with stale() as one:
        submission = await one.met(UNCLEAR)
        await one.change("pause", submission)
        looks = one.world.prolific.seen.count("submission")
        await one.hurry(submission)

        async def looked_and_put_off() -> bool:
            return one.world.prolific.seen.count("submission") > looks and await one.world.idle()

        await until(looked_and_put_off, "another look")
        assert [told(each) for each in await one.world.decisions(submission.id)] == [
            ("reject", None, "pending")
        ]
        assert actions(one.world, submission) == []
        await resume(one.world)
        assert told((await one.decided(submission, 1))[0]) == ("reject", None, "applied")


async def test_a_lowered_mode_keeps_looking_at_what_may_have_arrived(
    stale: Stalely, database_url: str
) -> None:
    """Nothing is sent any more, and what was sent before is still to be found out."""
    async with stale() as one:
        submission = await one.met(UNCLEAR)
        await one.new_rules(OBSERVES)
        newest, _ = await one.decided(submission, 2)
        assert newest["recheck_at"] is not None
        assert timer(database_url, submission)


# Replies


@pytest.mark.parametrize("hold", HOLDS)
async def test_a_reply_before_the_sending_holds_the_rejection(
    start: Start, tmp_path: Path, hold: str
) -> None:
    async with asked(start, prolific_concurrency=1) as one:
        held = Stale(one.world, tmp_path / "rules")
        one.clock.pass_(days=7, minutes=1)
        async with HOLDS[hold](held):
            make_due(held.url, one.submission)
            await under_way(held, hold)
            one.writes()
        newest, _ = await held.decided(one.submission, 2)
        assert is_held_for_a_reply(newest)
        assert actions(one.world, one.submission) == []


@pytest.mark.parametrize("fault", [REFUSED, UNCLEAR], ids=["refused", "unclear"])
async def test_a_reply_before_another_try_holds_the_rejection(
    start: Start, tmp_path: Path, fault: Fault
) -> None:
    async with asked(start) as one:
        held = Stale(one.world, tmp_path / "rules")
        one.world.prolific.add(fault)
        one.clock.pass_(days=7, minutes=1)
        make_due(held.url, one.submission)

        async def rejected() -> bool:
            newest = (await one.world.decisions(one.submission.id))[0]
            return newest["outcome"] == "reject" and await in_attempts(one.world, one.submission, 1)()

        await until(rejected, "the rejection to be tried")
        one.writes()
        one.world.prolific.clear()
        newest, old, _ = await held.decided(one.submission, 3)
        assert is_held_for_a_reply(newest)
        assert (old["outcome"], old["status"]) == ("reject", "superseded")
        assert actions(one.world, one.submission) == []


# People


async def test_a_retry_of_a_rejection_whose_rule_is_gone_does_not_send_it(stale: Stalely) -> None:
    async with stale() as one:
        submission = one.world.completed()
        one.world.prolific.add(Fault("transition", status=404))
        await one.world.push(submission.id, {"attention_failed": 2})
        assert told(await one.world.settled(submission.id)) == ("reject", None, "failed")
        await one.new_rules(APPROVES)
        await one.retry(submission)
        newest, old = await one.decided(submission, 2)
        assert told(newest) == ("approve", None, "applied")
        assert old["status"] == "failed"
        assert actions(one.world, submission) == ["APPROVE"]


async def test_a_retry_of_a_rejection_that_the_rules_still_say_sends_it(stale: Stalely) -> None:
    async with stale() as one:
        submission = one.world.completed()
        one.world.prolific.add(Fault("transition", status=404))
        await one.world.push(submission.id, {"attention_failed": 2})
        await one.world.settled(submission.id)
        await one.retry(submission)
        await until(lambda: _is(submission, Status.REJECTED), "the rejection")
        assert told(await one.world.settled(submission.id)) == ("reject", None, "applied")
        assert len(await one.world.decisions(submission.id)) == 1


async def _is(submission: SimSubmission, status: Status) -> bool:
    return submission.status is status


@pytest.mark.parametrize("fault", [REFUSED, UNCLEAR], ids=["refused", "unclear"])
async def test_a_persons_approval_takes_the_place_of_a_rejection_on_its_way(
    stale: Stalely, fault: Fault
) -> None:
    async with stale() as one:
        submission = await one.met(fault)
        assert (await resolve(one.world, submission, APPROVED)).status_code == 200
        newest, old = await one.decided(submission, 2)
        assert (newest["by"], *told(newest)) == ("Ada", "approve", None, "applied")
        assert (old["outcome"], old["status"]) == ("reject", "superseded")
        assert actions(one.world, submission) == ["APPROVE"]


async def test_new_evidence_is_decided_on_though_a_request_to_return_was_found_to_have_arrived(
    start: Start, tmp_path: Path
) -> None:
    """One review finds both: that the participant was asked, and evidence that asks for an approval."""
    asks = """
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    request_return: {reasons: ["You missed two checks."]}
"""
    clock = Ahead()
    async with start(rules_text(asks), clock=clock) as world:
        one, submission = Stale(world, tmp_path / "rules"), world.completed()
        world.prolific.add(Fault("request-return", status=503, took_effect=True))

        await world.push(submission.id, {"attention_failed": 2})
        await until(in_attempts(world, submission, 1), "the answer to be lost")
        await world.push(submission.id, {"attention_failed": 0})
        newest, old = await one.decided(submission, 2)
        assert told(newest) == ("approve", None, "applied")
        assert told(old) == ("request_return", None, "already")
        assert submission.status is Status.APPROVED
