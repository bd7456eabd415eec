"""The gauges from the database. Each process reads them periodically, so that a scrape needs no query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.postgres.database import Database
from service.postgres.periodic import run_every
from service.store.audit import job_counts
from service.store.decisions import failed_submissions
from service.store.holds import HoldCount, count_holds
from service.store.inbox import last_event_at
from service.store.pauses import scopes
from service.store.schedule import last_result
from service.telemetry.metrics import Metrics

REFRESH_EVERY = 15.0  # seconds
SUBSCRIPTION = {"enabled": 1.0, "disabled": 0.0, "missing": 0.0}


@dataclass(frozen=True, slots=True)
class Gauges:
    """Sets the gauges from the database. Without one they keep their last values."""

    database: Database
    metrics: Metrics

    async def run(self) -> None:
        """Run until cancelled."""
        await run_every("gauges", REFRESH_EVERY, self.look)

    async def look(self) -> None:
        """Set each gauge to its current value."""
        metrics = self.metrics
        async with self.database.connect() as connection:
            jobs = await job_counts(connection)
            failed = await failed_submissions(connection)
            last_webhook = await last_event_at(connection)
            holds = await count_holds(connection)
            in_force = (await scopes(connection)).values()
            swept_at, swept = await last_result(connection, "sweep")
        metrics.jobs_queued.set(jobs.queued)
        metrics.oldest_job.set(_age(jobs.oldest))
        metrics.failed.set(len(failed))
        metrics.holds.set(sum(group.number for group in holds))
        metrics.oldest_hold.set(_age(min((group.oldest for group in holds), default=None)))
        metrics.next_deadline.set(_first_deadline(holds))
        metrics.paused.set(sum(1 for scope in in_force if scope.pause))
        metrics.breakers.set(sum(len(scope.breakers) for scope in in_force))
        if last_webhook:
            metrics.last_webhook.set(last_webhook.timestamp())
        if swept_at:
            metrics.last_sweep.set(swept_at.timestamp())
        state = swept.get("subscription", {}).get("state")
        # NaN while the state is unknown.
        metrics.subscription_enabled.set(SUBSCRIPTION.get(state, float("nan")))


def _first_deadline(holds: Sequence[HoldCount]) -> float:
    """Return the time of the first deadline, NaN without holds."""
    return min((group.deadline.timestamp() for group in holds), default=float("nan"))


def _age(moment: datetime | None) -> float:
    """Return the seconds since then, 0 for None."""
    return max(0.0, (datetime.now(UTC) - moment).total_seconds()) if moment else 0.0
