"""The whole way: a service at work, something happens, and a message arrives."""

import asyncio

from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.integration.notify.harness import receiving
from tests.world import MESSAGE, World, rules_text, until

REJECT_ALL = f"""
  - name: everybody
    when: "true"
    reject: {{category: OTHER, message: "{MESSAGE}"}}
"""
HOLD_ALL = """
  - name: look at it
    when: "true"
    hold: Somebody should look.
"""


async def test_rules_that_reject_all_are_notified_once(start: Start) -> None:
    rules = rules_text(REJECT_ALL, otherwise="hold")
    async with receiving() as receiver, start(rules, notify_urls=receiver.url, notifies=True) as world:
        submissions = [world.completed() for _ in range(20)]
        await asyncio.gather(*(world.tell(one.id) for one in submissions))
        await world.at_rest()
        await until(lambda: arrived(world, receiver.titles, "A limit was reached"), "the message")
        await checked_twice_more(world)
        assert receiver.titles == ["A limit was reached"]
        assert submissions[0].study_id in receiver.messages[0]["text"]
        metrics = (await world.http.get("/metrics")).text
        assert 'autoreview_notices_total{kind="breaker",result="sent"} 1.0' in metrics


async def test_hold_and_failure_are_notified(start: Start) -> None:
    async with (
        receiving() as receiver,
        start(rules_text(HOLD_ALL), notify_urls=receiver.url, notifies=True) as world,
    ):
        submission = world.completed()
        await world.reviewed(submission)
        await until(
            lambda: arrived(world, receiver.titles, "A submission is held for manual review"), "the hold"
        )
        assert submission.id in receiver.messages[0]["text"]
        await world.tell("65f0000000000000000000aa")
        await until(lambda: arrived(world, receiver.titles, "A decision could not be applied"), "the failure")
        assert "65f0000000000000000000aa" in receiver.messages[1]["text"]


async def arrived(world: World, titles: list[str], title: str) -> bool:
    if title not in titles:
        await make_check_due(world)
    return title in titles


async def make_check_due(world: World) -> None:
    """Let the notifier check at its next look, not five seconds after the last check."""
    await query(world.service.database.url, "DELETE FROM turns WHERE name = 'notify'")


async def checked_twice_more(world: World) -> None:
    """Wait until the notifier has checked the alerts twice."""

    async def checked() -> bool:
        return bool(await query(world.service.database.url, "SELECT 1 FROM turns WHERE name = 'notify'"))

    for _ in range(2):
        await make_check_due(world)
        await until(checked, "another check")
