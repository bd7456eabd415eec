"""A transition whose answer comes later than the client waits, which is 20 s."""

from service.sandbox.faults import Fault
from tests.conftest import Start


async def test_answer_that_takes_too_long_counts_as_none(start: Start) -> None:
    async with start() as world:
        world.prolific.add(Fault("transition", took_effect=True, latency=22))
        decision = await world.reviewed(submission := world.completed())
        assert decision["status"] == "already"
        assert "ReadTimeout" in decision["attempts"][0]["answer"]["message"]
        assert len(world.calls(submission.id)) == 1
