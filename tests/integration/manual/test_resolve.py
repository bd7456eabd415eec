"""A manual decision reaches Prolific, also while automatic ones are held."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.app import Parts
from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import By, SimSubmission
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.manual.orders import (
    APPROVE,
    APPROVED,
    ASKED,
    HELD,
    HOLD,
    REJECTED,
    Later,
    held,
    in_attempts,
    one,
    pause,
    queue,
    resolve,
    resolved,
)
from tests.world import ADMIN, MESSAGE, World, bearer, rules_text, until

BOTH = HOLD.replace(STROOP, f"{STROOP}, {TWO_PARTS}")
PART = {
    "complete": {
        "code_type": "PARTIAL_PAYMENT",
        "percentage_of_reward": 50,
        "message_to_participant": "Thanks.",
    }
}
REACHED: list[tuple[dict[str, Any], Status, dict[str, Any]]] = [
    (APPROVED, Status.APPROVED, {"action": "APPROVE"}),
    (REJECTED, Status.REJECTED, {"action": "REJECT", "rejection_category": "OTHER", "message": MESSAGE}),
    (ASKED, Status.AWAITING_REVIEW, {"request_return_reasons": ["You entered no code."]}),
    (
        PART,
        Status.PARTIALLY_APPROVED,
        {
            "action": "COMPLETE",
            "completion_code": "PAYPART7",
            "completion_code_data": {"percentage_of_reward": 50, "message_to_participant": "Thanks."},
        },
    ),
]


@pytest.mark.parametrize("situation", ["live", "approve-only", "observe", "paused"])
async def test_what_a_person_decides_reaches_prolific(start: Start, situation: str) -> None:
    async with start(BOTH, mode="live" if situation == "paused" else situation) as world:
        if situation == "paused":
            await pause(world, None)
        for action, status, sent in REACHED:
            submission = await held(world, study=TWO_PARTS, code="0NEPART1")
            recorded = await resolved(world, submission, action, note="I looked at the data.")
            assert [recorded["outcome"]] == list(action)
            decision = await world.settled(submission.id, decisions=2)
            assert (decision["id"], decision["trigger"]) == (recorded["id"], "person")
            assert (decision["by"], decision["note"]) == ("Ada", "I looked at the data.")
            assert (decision["status"], decision["guard"], decision["rule"]) == ("applied", None, None)
            assert decision["proposed"] == "hold"
            assert submission.status is status
            assert world.calls(submission.id) == [sent]


@pytest.mark.parametrize("mode", ["live", "observe"])
async def test_a_persons_hold_stays_in_the_queue_and_is_not_sent(start: Start, mode: str) -> None:
    async with start(HOLD, mode=mode) as world:
        submission = await held(world)
        decision = await resolved(world, submission, HELD)
        assert (decision["outcome"], decision["status"], decision["by"]) == ("hold", "held", "Ada")
        assert "I ask a colleague." in decision["reason"]
        (row,) = (await world.api("holds"))["results"]
        assert (row["submission_id"], row["by"]) == (submission.id, "Ada")
        assert "I ask a colleague." in row["reason"]
        assert world.calls(submission.id) == []


async def test_hold_of_a_person_may_be_resolved_by_another(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, HELD, by="Ada")
        await resolved(world, submission, APPROVED, by="Bob")
        decision = await world.settled(submission.id, decisions=3)
        assert (decision["by"], decision["status"]) == ("Bob", "applied")
        assert await queue(world) == []


async def test_what_is_only_observed_can_be_decided(start: Start) -> None:
    async with start(APPROVE, mode="observe") as world:
        submission = world.completed()
        await world.reviewed(submission)
        await resolved(world, submission, REJECTED)
        await world.settled(submission.id, decisions=2)
        assert submission.status is Status.REJECTED


async def test_an_unanswered_request_to_return_may_be_followed_by_a_person(start: Start) -> None:
    ask = """
  - name: everybody
    when: "true"
    request_return: {reasons: ["You entered no code."]}
"""
    async with start(rules_text(ask)) as world:
        asked = [world.completed() for _ in range(2)]
        for submission, action in zip(asked, (APPROVED, REJECTED), strict=True):
            assert (await world.reviewed(submission))["status"] == "applied"
            await resolved(world, submission, action)
            assert (await world.settled(submission.id, decisions=2))["status"] == "applied"
        assert [submission.status for submission in asked] == [Status.APPROVED, Status.REJECTED]


async def asked_by_ada(world: World) -> SimSubmission:
    submission = await held(world)
    await resolved(world, submission, ASKED, by="Ada")
    assert (await world.settled(submission.id, decisions=2))["status"] == "applied"
    return submission


async def test_open_return_request_of_another_person_blocks_rejections(start: Start) -> None:
    """The second person, who still saw a hold, gets the name of the first."""
    clock = Later()
    async with start(BOTH, clock=clock) as world:
        submission = await asked_by_ada(world)
        for action in (REJECTED, {"complete": {"code_type": "PARTIAL_PAYMENT", "percentage_of_reward": 50}}):
            answer = await resolve(world, submission, action, by="Bob")
            assert (answer.status_code, answer.json()["error"]) == (409, "already_decided")
            message = answer.json()["message"]
            assert message.startswith("Ada asked the participant to return it on ")
            assert f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}" in message
        clock.shift += timedelta(days=6, hours=23)
        assert (await resolve(world, submission, REJECTED, by="Bob")).status_code == 409
        assert len(await world.decisions(submission.id)) == 2
        clock.shift += timedelta(hours=2)
        await resolved(world, submission, REJECTED, by="Bob")
        assert (await world.settled(submission.id, decisions=3))["status"] == "applied"
        assert submission.status is Status.REJECTED


async def test_the_time_to_answer_counts_from_when_the_participant_was_really_asked(start: Start) -> None:
    """Decided eight days ago, and sent only now."""
    clock = Later(-timedelta(days=8))
    async with start(HOLD, clock=clock) as world:
        submission = await asked_by_ada(world)
        clock.shift = timedelta()
        assert (await resolve(world, submission, REJECTED, by="Bob")).status_code == 409


@pytest.mark.parametrize("action", [APPROVED, ASKED, HELD])
async def test_harmless_outcome_may_follow_return_request_of_another_person(
    start: Start, action: dict[str, Any]
) -> None:
    async with start(HOLD) as world:
        submission = await asked_by_ada(world)
        await resolved(world, submission, action, by="Bob")


async def test_requester_or_holder_may_reject_later(start: Start) -> None:
    async with start(HOLD) as world:
        by_ada, by_bob = await asked_by_ada(world), await asked_by_ada(world)
        await resolved(world, by_ada, REJECTED, by=" Ada ")
        await resolved(world, by_bob, HELD, by="Bob")
        await resolved(world, by_bob, REJECTED, by="Bob")
        await world.at_rest()
        assert [one.status for one in (by_ada, by_bob)] == [Status.REJECTED, Status.REJECTED]


async def test_a_request_to_return_on_top_of_another_is_not_sent_again(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, ASKED)
        await world.settled(submission.id, decisions=2)
        await resolved(world, submission, ASKED, by="Bob")
        assert (await world.settled(submission.id, decisions=3))["status"] == "already"
        assert len(world.calls(submission.id)) == 1


async def test_what_failed_can_be_decided_otherwise(start: Start) -> None:
    async with start(APPROVE) as world:
        world.prolific.add(Fault("transition", status=404))
        submission = world.completed()
        assert (await world.reviewed(submission))["status"] == "failed"
        await resolved(world, submission, REJECTED)
        assert (await world.settled(submission.id, decisions=2))["status"] == "applied"
        assert submission.status is Status.REJECTED


async def test_what_awaits_its_first_review_can_be_decided(start: Start) -> None:
    web, worker = Parts(web=True, worker=False), Parts(web=False, worker=True)
    async with start(APPROVE, parts=web) as world:
        submission = world.completed()
        await world.tell(submission.id)
        await resolved(world, submission, REJECTED)
        async with start(APPROVE, parts=worker, sandbox=world.sandbox):
            assert (await world.settled(submission.id))["status"] == "applied"
        assert len(await world.decisions(submission.id)) == 1
        assert submission.status is Status.REJECTED


@pytest.mark.parametrize(
    ("meanwhile", "expected"), [(Status.APPROVED, "already"), (Status.RETURNED, "superseded")]
)
async def test_what_prolific_has_decided_unknown_to_us_is_found_out(
    start: Start, meanwhile: Status, expected: str
) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        world.sandbox.change(submission, meanwhile, By.SOMEBODY, notify=False)
        await resolved(world, submission, APPROVED)
        assert (await world.settled(submission.id, decisions=2))["status"] == expected
        assert submission.status is meanwhile
        assert world.calls(submission.id) == []
        assert await queue(world) == []


async def test_an_automatic_decision_that_waits_for_its_next_try_gives_way(
    start: Start, database_url: str
) -> None:
    async with start(APPROVE) as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", status=400, count=None))
        await world.tell(submission.id)
        await until(in_attempts(world, submission, 1), "a refusal")
        waits = (
            "WITH put_off AS (UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'"
            " WHERE lock = %s AND status = 'todo' RETURNING id) SELECT count(*) FROM put_off"
        )

        async def waiting() -> bool:
            return bool(await asyncio.to_thread(one, database_url, waits, submission.id))

        await until(waiting, "the review to wait for its next try")
        world.prolific.clear()
        await resolved(world, submission, REJECTED)
        await world.settled(submission.id, decisions=2)
        assert await waiting(), "the person's decision waited for nobody's time"
        statuses = [(row["outcome"], row["status"]) for row in await world.decisions(submission.id)]
        assert statuses == [("reject", "applied"), ("approve", "superseded")]
        assert submission.status is Status.REJECTED


async def test_a_person_takes_over_a_decision_that_may_have_reached_prolific(start: Start) -> None:
    async with start(APPROVE) as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", status=503, count=None))
        await world.tell(submission.id)
        await until(in_attempts(world, submission, 1), "an attempt without a clear answer")
        assert (await resolve(world, submission, REJECTED)).status_code == 200
        world.prolific.clear()

        async def applied() -> bool:
            return [one["status"] for one in await world.decisions(submission.id)] == [
                "applied",
                "superseded",
            ]

        await until(applied, "the person's decision to be applied")
        assert submission.status is Status.REJECTED


async def test_concurrent_resolves_have_one_winner_whom_others_see(start: Start) -> None:
    """On two replicas."""
    async with start(HOLD) as world, start(HOLD, sandbox=world.sandbox) as other:
        for _ in range(3):
            submission = await held(world)
            people = [f"person {number}" for number in range(8)]
            answers = await asyncio.gather(
                *(
                    resolve(
                        (world, other)[number % 2], submission, (APPROVED, REJECTED)[number % 2], by=person
                    )
                    for number, person in enumerate(people)
                )
            )
            codes = sorted(answer.status_code for answer in answers)
            assert codes == [200] + [409] * 7
            winner = next(answer.json()["by"] for answer in answers if answer.status_code == 200)
            assert all(winner in answer.json()["message"] for answer in answers if answer.status_code == 409)
            decision = await world.settled(submission.id, decisions=2)
            assert (decision["by"], decision["status"]) == (winner, "applied")
            assert len(world.calls(submission.id)) == 1


async def test_the_whole_decision_is_the_answer(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        answer = await resolved(world, submission, APPROVED, by="  Ada ", note="")
        assert (answer["by"], answer["note"], answer["status"]) == ("Ada", None, "pending")
        assert answer["facts"]["submission"]["id"] == submission.id
        await world.settled(submission.id, decisions=2)
        shown = await world.http.get(f"/api/decisions/{answer['id']}", headers=bearer(ADMIN))
        assert set(shown.json()) == set(answer) | {"counterfactual"}
