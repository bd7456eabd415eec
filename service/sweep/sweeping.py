"""The sweep as a service does it: now and then, once for all replicas, and loud about what it finds."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from service.postgres.database import Database
from service.prolific.client import Prolific
from service.store.turns import end_turn, take_turn
from service.sweep.subscription import Lookup, look_up
from service.sweep.sweep import Sweeper
from service.telemetry.metrics import Metrics
from service.telemetry.periodic import now_and_then

TURN = "sweep"
LOOK = 1.0  # seconds between two looks whether it is time

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeping:
    """Sweeps when it is this process's turn."""

    sweeper: Sweeper
    prolific: Prolific
    database: Database
    metrics: Metrics
    every: timedelta
    public_url: str | None

    async def run(self) -> None:
        """Until it is cancelled."""
        await now_and_then("sweep", LOOK, self._look)

    async def _look(self) -> None:
        async with self.database.begin() as connection:
            is_ours = await take_turn(connection, TURN, self.every)
        if is_ours:
            await self._sweep()

    async def _sweep(self) -> None:
        swept = await self.sweeper.sweep()
        subscription = await look_up(self.prolific, self.public_url)
        said: dict[str, Any] = swept.as_dict()
        said |= {"subscription": {"state": subscription.state.value, "detail": subscription.detail}}
        async with self.database.begin() as connection:
            await end_turn(connection, TURN, said)
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
