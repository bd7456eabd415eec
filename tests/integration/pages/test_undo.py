"""A decision on the dashboard leaves after the time to undo it: never before, once, and whatever restarts."""

import asyncio
from datetime import timedelta

from service.manual.planned import UNDO_TIME, carry_out_next
from service.sandbox.server import shipped_state
from tests.conftest import Start
from tests.integration.manual.orders import APPROVED, HOLD, Later, held, resolve
from tests.integration.pages.browsing import Person, person
from tests.world import World

PAST = UNDO_TIME + timedelta(seconds=1)


async def planned(ada: Person, submission: str, action: str = "approve", **fields: str) -> str:
    """Plan a decision; return its batch."""
    answer = await ada.send("/holds/decide", submission=submission, action=action, **fields)
    assert answer.status_code == 303, answer.text
    page = await ada.page("/holds/planned")
    return page.split('data-batch="')[1].split('"')[0]


async def outcomes(world: World, submission: str) -> list[str]:
    return [decision["outcome"] for decision in await world.decisions(submission)]


async def test_nothing_leaves_before_its_time_and_what_is_undone_never_does(start: Start) -> None:
    clock = Later()
    async with start(HOLD, clock=clock) as world, person(world) as ada:
        submission, other = await held(world), await held(world)
        batch = await planned(ada, submission.id)
        await planned(ada, other.id, note="I looked at the data")
        # A review in between is no reason to send it.
        await world.tell(submission.id)
        await world.at_rest()
        assert not await carry_out_next(world.service.database, clock)
        assert (await ada.send("/holds/undo", batch=batch)).status_code == 303
        clock.shift += PAST
        decision = await world.settled(other.id, decisions=2)
        assert (decision["outcome"], decision["by"]) == ("approve", "Ada")
        assert decision["note"] == "I looked at the data"
        assert await outcomes(world, submission.id) == ["hold"]
        assert world.calls(submission.id) == []
        answer = await ada.send("/holds/undo", batch=batch)
        assert (answer.status_code, "already carried out, or undone" in answer.text) == (409, True)
        assert "undone by Ada" in await ada.page(f"/submissions/{submission.id}")


async def test_a_restart_neither_loses_what_is_planned_nor_sends_it_early_or_twice(start: Start) -> None:
    clock, prolific = Later(), shipped_state(time_scale=1000.0, seed=7)
    async with start(HOLD, clock=clock, sandbox=prolific) as world, person(world) as ada:
        submission = await held(world)
        await planned(ada, submission.id)
    async with start(HOLD, clock=clock, sandbox=prolific) as world, person(world, name="Bob") as bob:
        assert "takes effect in" in await bob.page("/holds")
        assert await outcomes(world, submission.id) == ["hold"]
    clock.shift += PAST
    async with start(HOLD, clock=clock, sandbox=prolific) as world:
        assert (await world.settled(submission.id, decisions=2))["by"] == "Ada"
        # Several workers at once find nothing that is left to do.
        assert not any(
            await asyncio.gather(*(carry_out_next(world.service.database, clock) for _ in range(3)))
        )
        assert world.calls(submission.id) == [{"action": "APPROVE"}]


async def test_what_changed_since_the_person_looked_is_not_decided(start: Start) -> None:
    clock = Later()
    async with start(HOLD, clock=clock) as world, person(world) as ada:
        submission, resolved = await held(world), await held(world)
        first, second = [str((await world.decisions(one.id))[0]["id"]) for one in (submission, resolved)]
        await planned(ada, submission.id, seen=first)
        await planned(ada, resolved.id, seen=second)
        answer = await ada.send("/holds/decide", submission=submission.id, action="approve")
        assert (answer.status_code, "planned already" in answer.text) == (409, True)
        await world.push(submission.id, {"consented": False})
        await world.settled(submission.id, decisions=2)
        assert (await resolve(world, resolved, APPROVED, "Bob")).status_code == 200
        await world.settled(resolved.id, decisions=2)
        clock.shift += PAST
        while await carry_out_next(world.service.database, clock):
            pass
        assert await outcomes(world, submission.id) == ["hold", "hold"]
        assert "decided again while you looked" in await ada.page(f"/submissions/{submission.id}")
        assert "Bob decided it" in await ada.page(f"/submissions/{resolved.id}")
        answer = await ada.send("/holds/decide", submission=submission.id, action="approve", seen=first)
        assert (answer.status_code, "decided again" in answer.text) == (409, True)
