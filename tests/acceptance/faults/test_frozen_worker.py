"""A frozen worker at its own pace: its heartbeats stop, another one notices, and the first one thaws too late."""

from pathlib import Path

from service.sandbox.faults import Fault
from tests.integration.faults.test_frozen import approved, freezing


async def test_worker_that_misses_its_heartbeats_is_replaced(database_url: str, tmp_path: Path) -> None:
    async with freezing(database_url, tmp_path) as frozen:
        submission = frozen.service.completed()
        frozen.service.state.faults.add(Fault("submission", latency=0.5))
        await frozen.freeze_during(submission, "submission")
        second = await frozen.service.replicas.start()
        await approved(submission)
        frozen.first.thaw()
        await frozen.approved_once(second, submission)
        await frozen.first_works(without=second)
