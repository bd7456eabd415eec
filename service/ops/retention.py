"""Pruning: delete what is older than the retention time, every minute, once for all replicas."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from service.postgres.database import Database
from service.postgres.periodic import run_every
from service.store.pruning import Pruned, prune_events, prune_jobs
from service.store.refusals import prune_refusals
from service.store.schedule import claim, finish, last_result
from service.store.study_links import prune_study_links
from service.store.tallies import sum_up
from service.telemetry.metrics import Metrics

PRUNE = "prune"
PRUNE_EVERY = timedelta(minutes=1)
CHECK_EVERY = 15.0  # seconds

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pruning:
    """Deletes handled events and ended jobs after ``retention``, and sums up counts."""

    database: Database
    metrics: Metrics
    retention: timedelta

    async def run(self) -> None:
        """Run until cancelled."""
        await run_every(PRUNE, CHECK_EVERY, self.prune_if_due)

    async def prune_if_due(self) -> None:
        """Prune, if it is due."""
        async with self.database.begin() as connection:
            if not await claim(connection, PRUNE, PRUNE_EVERY):
                return
            await sum_up(connection)
            jobs = await prune_jobs(connection, self.retention)
            refusals = await prune_refusals(connection, self.retention)
            await prune_study_links(connection)
        events = await self._prune_events()
        if jobs or events or refusals:
            self.metrics.pruned.labels("event").inc(events)
            self.metrics.pruned.labels("job").inc(jobs)
            self.metrics.pruned.labels("refusal").inc(refusals)
            log.info("pruned", events=events, jobs=jobs, refusals=refusals)

    async def _prune_events(self) -> int:
        deleted, pruned = 0, None
        # In batches, so that no transaction holds its locks for long.
        while pruned is None or not pruned.is_all:
            pruned = await self._prune_batch()
            deleted += pruned.deleted
        return deleted

    async def _prune_batch(self) -> Pruned:
        """Prune a batch, and store how far it got in the same transaction."""
        async with self.database.begin() as connection:
            _, result = await last_result(connection, PRUNE)
            since = datetime.fromisoformat(result["until"]) if "until" in result else None
            pruned = await prune_events(connection, since, self.retention)
            # Stored together with the deletion, so that no batch is read twice after a crash.
            await finish(connection, PRUNE, {"until": pruned.until.isoformat()})
        return pruned
