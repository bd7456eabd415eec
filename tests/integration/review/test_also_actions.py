"""Also-actions of a decision: once, after the transition, with any result."""

from typing import Any

import httpx
import sqlalchemy as sa

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from service.store.tables import also_actions
from tests.conftest import Start
from tests.world import ADMIN, World, bearer, rules_text, until

GROUP, OTHER = "60a0000000000000000000a1", "60a0000000000000000000b2"
ALSO = """
  - name: thanks
    when: submission.pace > 0.0
    approve:
    tag: included
    also:
      add_to_group: 60a0000000000000000000a1
      remove_from_group: 60a0000000000000000000b2
      message: Thank you for {submission.time_taken} seconds.
"""
TEXT = "Thank you for 700 seconds."


def groups(world: World) -> None:
    world.sandbox.add_group("included", group_id=GROUP)
    world.sandbox.add_group("waiting list", group_id=OTHER)


async def done(world: World, submission: str, number: int = 4) -> dict[str, Any]:
    """Wait until the newest decision has so many attempts, each with an answer."""

    async def look() -> dict[str, Any] | None:
        found = await world.decisions(submission)
        attempts = found[0]["attempts"] if found else []
        is_done = len(attempts) >= number and all(one["answer"] is not None for one in attempts)
        return found[0] if is_done else None

    newest: dict[str, Any] = await until(look, f"{number} attempts of {submission}")
    return newest


async def nothing_due(world: World) -> None:
    async def look() -> bool:
        async with world.service.database.connect() as connection:
            due = sa.select(sa.func.count()).where(also_actions.c.due_at.is_not(None))
            return not await connection.scalar(due)

    await until(look, "nothing to be done beside a decision")


def written(world: World, submission: SimSubmission) -> list[str]:
    sent = world.sandbox.messages.found(submission.participant_id, None)
    return [message.body for message in sent if message.sender_id != submission.participant_id]


async def test_each_is_sent_once_after_the_transition_and_is_an_attempt_of_the_decision(start: Start) -> None:
    async with start(rules_text(ALSO)) as world:
        groups(world)
        submission = world.completed()
        world.sandbox.groups[OTHER].members[submission.participant_id] = world.sandbox.clock()
        await world.tell(submission.id)
        decision = await done(world, submission.id)
        assert decision["status"] == "applied"
        assert [one["request"]["endpoint"] for one in decision["attempts"]] == [
            "transition",
            "add-to-group",
            "remove-from-group",
            "message",
        ]
        assert [one["status_code"] for one in decision["attempts"]] == [200, 200, 200, 204]
        assert list(world.sandbox.groups[GROUP].members) == [submission.participant_id]
        assert list(world.sandbox.groups[OTHER].members) == []
        assert written(world, submission) == [TEXT]
        await world.tell(submission.id)
        await world.at_rest()
        await nothing_due(world)
        assert written(world, submission) == [TEXT]


async def test_nothing_is_sent_in_observe_nor_beside_a_transition_that_failed(start: Start) -> None:
    async with start(rules_text(ALSO), mode="observe") as world:
        groups(world)
        assert (await world.reviewed(world.completed()))["status"] == "observed"
        await nothing_due(world)
        assert world.sandbox.calls == []


async def test_a_failure_of_one_neither_undoes_nor_repeats_anything_else(start: Start) -> None:
    async with start(rules_text(ALSO)) as world:
        world.sandbox.add_group("waiting list", group_id=OTHER)
        submission = world.completed()
        await world.tell(submission.id)
        decision = await done(world, submission.id)
        await nothing_due(world)
        assert decision["status"] == "applied"
        assert [one["status_code"] for one in decision["attempts"]] == [200, 404, 200, 204]
        assert submission.status is Status.APPROVED
        assert len(world.calls(submission.id)) == 1
        assert written(world, submission) == [TEXT]


async def test_a_message_whose_answer_was_lost_is_not_sent_again_and_a_group_is(start: Start) -> None:
    async with start(rules_text(ALSO)) as world:
        groups(world)
        for kind in ("messages", "participant-groups"):
            world.prolific.add(Fault(kind, reset=True, took_effect=True))
        submission = world.completed()
        await world.tell(submission.id)
        decision = await done(world, submission.id, number=5)
        await nothing_due(world)
        sent = [one["request"]["endpoint"] for one in decision["attempts"]]
        assert (sent.count("add-to-group"), sent.count("message")) == (2, 1)
        assert decision["status"] == "applied"
        assert written(world, submission) == [TEXT]


async def test_a_message_that_never_left_is_sent_when_prolific_takes_it(start: Start) -> None:
    async with start(rules_text(ALSO)) as world:
        groups(world)
        world.prolific.add(Fault("messages", 429, retry_after=1))
        submission = world.completed()
        await world.tell(submission.id)
        await done(world, submission.id, number=5)
        await nothing_due(world)
        assert written(world, submission) == [TEXT]


async def test_a_crash_between_the_attempt_and_its_answer_is_no_second_message(start: Start) -> None:
    async with start(rules_text(ALSO)) as world:
        groups(world)
        submission = world.completed()
        await world.tell(submission.id)
        await done(world, submission.id)
        async with world.service.database.begin() as connection:
            # As if the process had been killed after it had sent everything again and had stored no answer.
            await connection.execute(
                sa.text(
                    "INSERT INTO attempts (decision_id, request) SELECT decision_id, request FROM also_actions"
                )
            )
            await connection.execute(sa.update(also_actions).values(due_at=sa.func.now()))
        await nothing_due(world)
        decision = (await world.decisions(submission.id))[0]
        assert decision["status"] == "applied"
        assert written(world, submission) == [TEXT]
        [_, lost] = [one for one in decision["attempts"] if one["request"]["endpoint"] == "message"]
        assert lost["answer"]["error"] == "answer_lost"
        assert list(world.sandbox.groups[GROUP].members) == [submission.participant_id]


async def test_nothing_leaves_while_the_service_is_paused(start: Start) -> None:
    async with start(rules_text(ALSO)) as world:
        groups(world)
        world.prolific.add(Fault("participant-groups", 503))
        submission = world.completed()
        await world.tell(submission.id)
        await done(world, submission.id, number=2)
        await pause(world)
        before = len(world.prolific.seen)
        async with world.service.database.begin() as connection:
            is_due = also_actions.c.due_at.is_not(None)
            await connection.execute(sa.update(also_actions).where(is_due).values(due_at=sa.func.now()))

        async def held_back() -> bool:
            async with world.service.database.connect() as connection:
                soon = sa.func.now() + sa.cast("20 seconds", sa.Interval)
                rows = await connection.scalars(
                    sa.select(also_actions.c.due_at > soon).where(also_actions.c.due_at.is_not(None))
                )
                return all(rows)

        await until(held_back, "what is due to be held back")
        left = [kind for kind in world.prolific.seen[before:] if kind in ("messages", "participant-groups")]
        assert len(left) <= 2  # what had begun before the pause


async def pause(world: World) -> None:
    answer: httpx.Response = await world.http.post(
        "/api/pause",
        json={"by": "Ada", "reason": "a look"},
        headers=bearer(ADMIN),
    )
    assert answer.status_code == 200
