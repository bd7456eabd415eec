"""The kill switch: a pause holds all that is automatic, on every replica, until a named person resumes."""

import asyncio
from typing import Any

import pytest

from service.app import Parts
from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.manual.orders import (
    APPROVE,
    APPROVED,
    HELD,
    HOLD,
    held,
    in_attempts,
    one,
    order,
    pause,
    queue,
    resolved,
    resume,
)
from tests.world import MESSAGE, World, rules_text, until

BOTH = APPROVE.replace(STROOP, f"{STROOP}, {TWO_PARTS}")
REJECT_ALL = rules_text(f"""
  - name: everybody
    when: "true"
    reject: {{category: OTHER, message: "{MESSAGE}"}}
""")


@pytest.mark.parametrize("study", [STROOP, None])
async def test_while_paused_everything_is_held_with_who_and_why_on_all_replicas(
    start: Start, study: str | None
) -> None:
    async with start(APPROVE) as world, start(APPROVE, sandbox=world.sandbox) as other:
        await pause(world, study)
        submissions = [world.completed() for _ in range(6)]
        for number, submission in enumerate(submissions):
            await (world, other)[number % 2].tell(submission.id)
        await world.at_rest()
        for submission in submissions:
            (decision,) = await other.decisions(submission.id)
            assert (decision["outcome"], decision["proposed"]) == ("hold", "approve")
            assert (decision["guard"], decision["status"]) == ("paused", "held")
            assert "Ada: the survey is broken" in decision["reason"]
            assert world.calls(submission.id) == []
        assert len(await queue(other, guard="paused")) == 6


async def test_a_study_alone_is_paused_and_the_others_go_on(start: Start) -> None:
    async with start(BOTH) as world:
        await pause(world, STROOP)
        paused, free = world.completed(), world.completed(study=TWO_PARTS, code="B0THPART")
        assert (await world.reviewed(paused))["guard"] == "paused"
        assert (await world.reviewed(free))["status"] == "applied"


async def test_what_was_decided_and_not_yet_sent_is_not_sent_after_a_pause(start: Start) -> None:
    async with start(APPROVE) as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", status=400, count=None))
        await world.tell(submission.id)
        await until(in_attempts(world, submission, 1), "a refusal")
        await pause(world)
        world.prolific.clear()
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["guard"], decision["status"]) == ("paused", "held")
        assert (await world.decisions(submission.id))[1]["status"] == "superseded"
        assert submission.status is Status.AWAITING_REVIEW
        await resume(world)
        assert (await world.settled(submission.id, decisions=3))["status"] == "applied"


async def test_call_waiting_for_a_slot_is_not_sent_after_a_pause(start: Start, database_url: str) -> None:
    """Of eight submissions four are being approved, slowly; those behind them are held."""
    async with start(APPROVE, prolific_concurrency=4) as world:
        world.prolific.add(
            Fault("submission", latency=0.7, count=8), Fault("transition", latency=2.5, count=4)
        )
        submissions = [world.completed() for _ in range(8)]
        await asyncio.gather(*(world.tell(submission.id) for submission in submissions))
        unanswered = "SELECT count(*) FROM attempts LEFT JOIN answers ON attempt_id = attempts.id WHERE attempt_id IS NULL"

        async def all_slots_taken() -> bool:
            return bool(await asyncio.to_thread(one, database_url, unanswered) == 4)

        await until(all_slots_taken, "four to be sent")
        await pause(world, None)
        assert one(database_url, unanswered) <= 4
        for submission in submissions:
            assert (await world.settled(submission.id))["status"] in {"applied", "held"}
        approved = [submission for submission in submissions if submission.status is Status.APPROVED]
        assert len(approved) == sum(len(world.calls(submission.id)) for submission in submissions)
        assert len(await queue(world, guard="paused")) == 8 - len(approved)


async def test_a_resume_reviews_again_what_is_held_and_not_what_a_person_held(start: Start) -> None:
    async with start(APPROVE) as world:
        await pause(world)
        submissions = [await held(world) for _ in range(3)]
        await resolved(world, submissions[0], HELD, by="Cleo")
        state = await resume(world)
        assert (state["reviewed_again"], state["study"], state["paused"]) == (2, STROOP, False)
        (closed,) = state["closed"]
        assert (closed["kind"], closed["by"], closed["reason"]) == ("pause", "Ada", "the survey is broken")
        assert state["still_on"] == []
        for submission in submissions[1:]:
            decision = await world.settled(submission.id, decisions=2)
            assert (decision["trigger"], decision["status"]) == ("rules", "applied")
        assert await queue(world) == [submissions[0].id]


async def test_a_resume_of_a_study_leaves_the_services_pause_on_and_says_so(start: Start) -> None:
    async with start(APPROVE) as world:
        await pause(world, None, by="Cleo")
        await pause(world, STROOP)
        submission = await held(world)
        state = await resume(world, STROOP)
        (still_on,) = state["still_on"]
        assert (still_on["study"], still_on["kind"], still_on["by"]) == (None, "pause", "Cleo")
        await world.at_rest()
        assert (await world.decisions(submission.id))[0]["guard"] == "paused"
        assert world.calls(submission.id) == []
        assert (await resume(world, None))["still_on"] == []
        await until(lambda: _status(submission.id, world, Status.APPROVED), "the approval")


async def _status(submission: str, world: World, wanted: Status) -> bool:
    return world.sandbox.submissions[submission].status is wanted


async def test_a_pause_survives_a_restart(start: Start) -> None:
    async with start(APPROVE) as world:
        await pause(world)
        sandbox = world.sandbox
    async with start(APPROVE, sandbox=sandbox) as world:
        submission = world.completed()
        assert (await world.reviewed(submission))["guard"] == "paused"
        assert (await world.api("status"))["pauses"][0]["by"] == "Ada"


async def test_a_resume_closes_the_breaker_and_begins_a_new_window(start: Start) -> None:
    async with start(REJECT_ALL) as world:
        first = [(await world.reviewed(world.completed()))["outcome"] for _ in range(5)]
        assert first == ["reject"] * 3 + ["hold"] * 2
        state = await resume(world)
        assert [(one["kind"], one["limit"]) for one in state["closed"]] == [("breaker", "limit.reject")]
        assert state["reviewed_again"] == 2
        await world.at_rest()
        assert (await world.api("status"))["breakers"] == []
        again = [(await world.reviewed(world.completed()))["outcome"] for _ in range(2)]
        assert again == ["reject", "hold"], "two of the new window were held before"


async def test_the_status_shows_pauses_and_breakers(start: Start) -> None:
    async with start(REJECT_ALL) as world:
        for _ in range(4):
            await world.reviewed(world.completed())
        await pause(world, TWO_PARTS, by="Cleo")
        status = await world.api("status")
        assert status["paused"] is False
        ((pausing,), (breaker,)) = (status["pauses"], status["breakers"])
        assert (pausing["study"], pausing["by"], pausing["reason"]) == (
            TWO_PARTS,
            "Cleo",
            "the survey is broken",
        )
        assert (breaker["study"], breaker["limit"]) == (STROOP, "limit.reject")
        await pause(world, None)
        status = await world.api("status")
        assert status["paused"] is True
        assert {one["study"] for one in status["pauses"]} == {None, TWO_PARTS}
        await resume(world, None)
        status = await world.api("status")
        assert (status["paused"], len(status["pauses"]), len(status["breakers"])) == (False, 1, 1)


async def test_several_people_pausing_and_resuming_at_once_leave_it_clear(start: Start) -> None:
    async with start(HOLD) as world:
        await held(world)
        await asyncio.gather(*(pause(world, by=f"person {number}") for number in range(8)))
        assert len((await world.api("status"))["pauses"]) == 1
        await asyncio.gather(*(resume(world) for _ in range(8)))
        assert (await world.api("status"))["pauses"] == []
        await world.at_rest()


async def test_who_and_why_have_to_be_said_and_no_study_is_not_an_empty_one(start: Start) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"by": "Ada"},
        {"reason": "x"},
        {"by": "", "reason": "x"},
        {"by": "Ada", "reason": " "},
        {"by": "\u200b", "reason": "x"},
        {"by": "A\u2028da", "reason": "x"},
        {"by": "Ada", "reason": "\u200b"},
        {"by": "Ada", "reason": "x", "study": "\u200b"},
        {"by": "Ada", "reason": "x", "study": ""},
        {"by": "Ada", "reason": "x", "study": "  "},
        {"by": "Ada", "reason": "x", "study": ["a"]},
        {"by": "Ada", "reason": "x", "studies": "a"},
    ]
    async with start(HOLD, parts=Parts(web=True, worker=False)) as world:
        await pause(world, None, by="Cleo")
        for route in ("pause", "resume"):
            for body in wrong:
                answer = await order(world, route, **body)
                assert answer.status_code == 422, (route, body)
        assert [one["by"] for one in (await world.api("status"))["pauses"]] == ["Cleo"]


async def test_a_study_that_nothing_is_known_of_can_be_paused_and_that_is_said(start: Start) -> None:
    async with start(APPROVE) as world:
        unknown = await order(world, "pause", study="60aca280709ee40ec37d4886", by="Ada", reason="x")
        assert unknown.json()["study_known"] is False
        await world.reviewed(world.completed())
        known = await order(world, "pause", study=STROOP, by="Ada", reason="x")
        assert known.json() == {"paused": True, "study": STROOP, "study_known": True}


async def test_people_decide_while_it_is_paused(start: Start) -> None:
    async with start(APPROVE) as world:
        await pause(world, None)
        submission = await held(world)
        await resolved(world, submission, APPROVED)
        assert (await world.settled(submission.id, decisions=2))["status"] == "applied"
