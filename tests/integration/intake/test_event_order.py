"""Events are ordered by Prolific's time, so a late delivery does not replace a newer status."""

import time
from typing import Any

import pytest

from service.app import Parts
from service.domain.submission import Status
from service.sandbox.model import SimSubmission
from tests.conftest import Start
from tests.integration.manual.orders import APPROVED, HOLD, held, queue, resolve
from tests.world import World, rules_text, until

WEB = Parts(web=True, worker=False)
PARTICIPANT = "65f0000000000000000000bb"  # whose the webhooks are
COUNTS = rules_text("""
  - name: rejected before
    when: participant.rejected > 9
    hold: "{participant.rejected} were rejected."
""")


def seconds(ago: float = 0, *, unit: int = 1) -> str:
    """Return the X-Timestamp of this many seconds ago."""
    return str(int((time.time() - ago) * unit))


async def past_of(world: World) -> dict[str, Any]:
    """Return the history of the participant, as a review of another submission loads it."""
    another = world.completed()
    another.participant_id = PARTICIPANT
    await world.tell(another.id, sent_at=seconds())
    found: dict[str, Any] = (await world.settled(another.id))["facts"]["participant"]
    return found


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
async def test_late_event_does_not_count_in_the_history_of_the_participant(start: Start, unit: int) -> None:
    """A rejection was reverted, and its event is delivered an hour later."""
    async with start(COUNTS) as world:
        submission = world.completed()
        submission.participant_id = PARTICIPANT
        await world.tell(submission.id, sent_at=seconds(unit=unit))
        assert (await world.settled(submission.id))["status"] == "applied"
        await world.tell(submission.id, "REJECTED", sent_at=seconds(3600, unit=unit))
        past = await past_of(world)
        assert (past["rejected"], past["submissions"]) == (0, 1)


async def test_newer_event_counts_in_the_history_of_the_participant(start: Start) -> None:
    async with start(COUNTS) as world:
        submission = world.completed()
        submission.participant_id = PARTICIPANT
        await world.tell(submission.id, sent_at=seconds(60))
        await world.settled(submission.id)
        await world.tell(submission.id, "REJECTED", sent_at=seconds(0))
        assert (await past_of(world))["rejected"] == 1


async def waiting(start: Start, **options: Any) -> tuple[World, SimSubmission]:
    """Return a held submission without a pending job."""
    async with start(HOLD) as world:
        return world, await held(world, **options)


async def test_late_event_does_not_hide_a_held_submission(start: Start) -> None:
    before, submission = await waiting(start)
    async with start(HOLD, parts=WEB, sandbox=before.sandbox) as world:
        assert (await world.tell(submission.id, "REJECTED", sent_at=seconds(3600))).status_code == 202
        assert await queue(world) == [submission.id]


async def test_late_event_does_not_prevent_a_manual_decision(start: Start) -> None:
    before, submission = await waiting(start)
    async with start(HOLD, parts=WEB, sandbox=before.sandbox) as world:
        await world.tell(submission.id, "REJECTED", sent_at=seconds(3600))
        answer = await resolve(world, submission, APPROVED)
        assert answer.status_code == 200, answer.text


async def test_newer_event_hides_a_held_submission_until_it_is_fetched(start: Start) -> None:
    before, submission = await waiting(start)
    async with start(HOLD, parts=WEB, sandbox=before.sandbox) as world:
        await world.tell(submission.id, "REJECTED", sent_at=seconds(-3600))
        assert await queue(world) == []
        assert (await resolve(world, submission, APPROVED)).status_code == 409


@pytest.mark.parametrize("sent_at", [seconds(3600), seconds(-3600), None], ids=["late", "newer", "without"])
@pytest.mark.parametrize("truth", [Status.AWAITING_REVIEW, Status.REJECTED])
async def test_event_of_a_final_status_has_a_held_submission_fetched(
    start: Start, truth: Status, sent_at: str | None
) -> None:
    """The list of holds is correct within seconds, for any final status."""
    async with start(HOLD) as world:
        submission = await held(world)
        if truth is not Status.AWAITING_REVIEW:
            world.sandbox.meddle(submission, truth, notify=False)
        looks = world.prolific.seen.count("submission")
        await world.tell(submission.id, "REJECTED", sent_at=sent_at)

        async def fetched() -> bool:
            return world.prolific.seen.count("submission") > looks and await world.idle()

        await until(fetched, "the submission to be fetched")
        awaits = truth is Status.AWAITING_REVIEW
        assert await queue(world) == ([submission.id] if awaits else [])
        assert (await resolve(world, submission, APPROVED)).status_code == (200 if awaits else 409)


ODD = (
    None, "", "0", "-1", "+1", "1e9", "0x10", "nan", "yesterday", "2026-01-01T00:00:00Z", "1767225600.5",
    "1767225600.1234567890123", "1767225600000", "1767225600000000", "9" * 20, "9" * 21, "9" * 190, "9" * 5000,
    "1767225600; DROP TABLE inbox", "'", "%s", "1 2",
)  # fmt: skip


async def test_event_with_an_invalid_time_is_accepted(start: Start) -> None:
    """The time may be missing, in another unit, no number, or too long."""
    async with start(COUNTS.replace("otherwise: approve", "otherwise: hold")) as world:
        submission = world.completed()
        submission.participant_id = PARTICIPANT
        await world.tell(submission.id, sent_at=ODD[0])
        await world.settled(submission.id)
        for sent_at in ODD:
            answer = await world.tell(submission.id, "REJECTED", sent_at=sent_at)
            assert answer.status_code == 202, sent_at
            await queue(world)
        await world.at_rest()
        assert await queue(world) == [submission.id]
        assert (await past_of(world))["submissions"] == 1
        assert 'autoreview_reviews_total{result="crashed"} 0.0' in (await world.http.get("/metrics")).text
        assert (await resolve(world, submission, APPROVED)).status_code == 200
