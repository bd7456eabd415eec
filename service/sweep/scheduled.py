"""The sweep as a service does it: now and then, once for all replicas, and loud about what it finds."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from service.postgres.database import Database
from service.postgres.periodic import run_every
from service.prolific.client import Prolific
from service.store.schedule import claim, finish
from service.sweep.subscription import Lookup, look_up
from service.sweep.sweeper import Sweeper
from service.telemetry.metrics import Metrics

TURN = "sweep"
LOOK = 1.0  # seconds between two looks whether it is time

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduledSweep:
    """Sweeps when it is this process's turn."""

    sweeper: Sweeper
    prolific: Prolific
    database: Database
    metrics: Metrics
    every: timedelta
    public_url: str | None

    async def run(self) -> None:
        """Until it is cancelled."""
        await run_every("sweep", LOOK, self._look)

    async def _look(self) -> None:
        async with self.database.begin() as connection:
            is_ours = await claim(connection, TURN, self.every)
        if is_ours:
            await self._sweep()

    async def _sweep(self) -> None:
        swept = await self.sweeper.sweep()
        subscription = await look_up(self.prolific, self.public_url)
        said: dict[str, Any] = swept.as_dict()
        said |= {"subscription": {"state": subscription.state.value, "detail": subscription.detail}}
        async with self.database.begin() as connection:
            await finish(connection, TURN, said)
        for cause, number in swept.found.items():
            self.metrics.rescued.labels(cause.value).inc(number)
        for problem in swept.problems:
            log.warning("sweep.problem", problem=problem)
        log.info("sweep.ended", studies=swept.studies, listed=swept.listed, enqueued=swept.found.total())
        tell(subscription)


def tell(subscription: Lookup) -> None:
    """A subscription that brings nothing is loud at each sweep."""
    if subscription.is_loud:
        log.error("subscription.lost", state=subscription.state.value, detail=subscription.detail)
