"""The periodic sweep, once for all replicas. It logs what it finds."""

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

SWEEP = "sweep"
CHECK_EVERY = 1.0  # seconds

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduledSweep:
    """Sweeps when a run is due and no other process has started it."""

    sweeper: Sweeper
    prolific: Prolific
    database: Database
    metrics: Metrics
    every: timedelta
    public_url: str | None

    async def run(self) -> None:
        """Run until cancelled."""
        await run_every("sweep", CHECK_EVERY, self._sweep_if_due)

    async def _sweep_if_due(self) -> None:
        # The claim keeps other replicas from sweeping at the same time.
        async with self.database.begin() as connection:
            is_due = await claim(connection, SWEEP, self.every)
        if is_due:
            await self._sweep()

    async def _sweep(self) -> None:
        swept = await self.sweeper.sweep()
        # Prolific disables a subscription after five days of failures, and nothing in the API reports it.
        subscription = await look_up(self.prolific, self.public_url)
        result: dict[str, Any] = swept.as_dict()
        result |= {"subscription": {"state": subscription.state.value, "detail": subscription.detail}}
        async with self.database.begin() as connection:
            await finish(connection, SWEEP, result)
        for cause, number in swept.found.items():
            self.metrics.rescued.labels(cause.value).inc(number)
        for problem in swept.problems:
            log.warning("sweep.problem", problem=problem)
        log.info("sweep.ended", studies=swept.studies, listed=swept.listed, enqueued=swept.found.total())
        log_lost(subscription)


def log_lost(subscription: Lookup) -> None:
    """Log a subscription that brings no webhooks, at each sweep."""
    if subscription.is_lost:
        log.error("subscription.lost", state=subscription.state.value, detail=subscription.detail)
