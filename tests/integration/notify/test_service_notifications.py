"""The whole way: a service at work, something happens, and a message arrives."""

import asyncio

from tests.conftest import Start
from tests.integration.notify.harness import receiving
from tests.world import World, rules_text, until

REJECT_ALL = """
  - name: everybody
    when: "true"
    reject:
      category: OTHER
      message: >-
        We write this sentence because a rejection has to carry one hundred characters of evidence and of
        advice for the person who reads it.
"""
HOLD_ALL = """
  - name: look at it
    when: "true"
    hold: Somebody should look.
"""


async def test_rules_that_reject_all_are_notified_once(start: Start) -> None:
    rules = rules_text(REJECT_ALL, otherwise="hold")
    async with receiving() as receiver, start(rules, notify_urls=receiver.url) as world:
        submissions = [world.completed() for _ in range(20)]
        await asyncio.gather(*(world.tell(one.id) for one in submissions))
        await world.at_rest()
        await until(lambda: arrived(receiver.titles, "A limit was reached"), "the message")
        await two_looks_later(world)
        assert receiver.titles == ["A limit was reached"]
        assert submissions[0].study_id in receiver.messages[0]["text"]
        metrics = (await world.http.get("/metrics")).text
        assert 'autoreview_notices_total{kind="breaker",result="sent"} 1.0' in metrics


async def test_hold_and_failure_are_notified(start: Start) -> None:
    async with receiving() as receiver, start(rules_text(HOLD_ALL), notify_urls=receiver.url) as world:
        submission = world.completed()
        await world.reviewed(submission)
        await until(lambda: arrived(receiver.titles, "A submission is held for manual review"), "the hold")
        assert submission.id in receiver.messages[0]["text"]
        await world.tell("65f0000000000000000000aa")
        await until(lambda: arrived(receiver.titles, "A decision could not be applied"), "the failure")
        assert "65f0000000000000000000aa" in receiver.messages[1]["text"]


async def arrived(titles: list[str], title: str) -> bool:
    return title in titles


async def two_looks_later(world: World) -> None:
    """Wait until the notifier has looked twice more."""
    from service.store.schedule import last_run

    async def began() -> object:
        async with world.service.database.connect() as connection:
            turn = await last_run(connection, "notify")
        return turn and turn.began_at

    for _ in range(2):
        before = await began()

        async def looked(before: object = before) -> bool:
            return await began() != before

        await until(looked, "another look")
