"""Pruning: delete what no review, fact or list needs. Those are handled events and ended jobs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.inbox import IS_FINAL, NEWEST_FIRST

BATCH = 5_000  # events in one transaction


@dataclass(frozen=True, slots=True)
class Pruned:
    """A deleted batch: the number of events, the ``handled_at`` it reached, and whether it was the last one."""

    deleted: int
    until: datetime
    is_all: bool


# In the order of ``handled_at``, so that each event is read once.
_BATCH = sa.text("""
    SELECT greatest(CAST(:since AS timestamptz), coalesce((
               SELECT handled_at FROM inbox
               WHERE handled_at > coalesce(CAST(:since AS timestamptz), '-infinity') AND handled_at <= bound.last
               ORDER BY handled_at OFFSET :batch LIMIT 1), bound.last)) AS until, bound.last
    FROM (SELECT now() - :retention AS last) AS bound
""")

# Kept are the events that show that a submission ended, and its newest event: participant statistics depend on both.
# The newest event of all is kept to show when webhooks last arrived.
_PRUNE = sa.text(f"""
    WITH old AS (
        SELECT e.event_id, e.submission_id FROM inbox e
        WHERE e.handled_at > coalesce(CAST(:since AS timestamptz), '-infinity') AND e.handled_at <= :until
          AND NOT coalesce({IS_FINAL}, false)
          AND e.received_at < (SELECT max(received_at) FROM inbox)
    )
    DELETE FROM inbox USING old
    WHERE inbox.event_id = old.event_id AND NOT (
        EXISTS (SELECT FROM inbox e WHERE e.submission_id = old.submission_id AND {IS_FINAL})
        AND old.event_id = (SELECT e.event_id FROM inbox e WHERE e.submission_id = old.submission_id AND e.readable
                            ORDER BY {NEWEST_FIRST} LIMIT 1))
""")  # noqa: S608 - nothing of it comes from outside

# Procrastinate deletes jobs that succeed at once, with their events. Failed and cancelled ones are left.
_PRUNE_JOBS = sa.text("""
    DELETE FROM procrastinate_jobs j
    WHERE j.status IN ('succeeded', 'failed', 'cancelled', 'aborted')
      AND NOT EXISTS (SELECT FROM procrastinate_events e WHERE e.job_id = j.id AND e.at > now() - :retention)
""")


async def prune_events(
    connection: AsyncConnection, since: datetime | None, retention: timedelta, batch: int = BATCH
) -> Pruned:
    """Delete a batch of unneeded events handled after ``since`` and at least ``retention`` ago."""
    values = {"since": since, "retention": retention, "batch": batch - 1}
    bounds = (await connection.execute(_BATCH, values)).one()
    deleted = await connection.execute(_PRUNE, {"since": since, "until": bounds.until})
    return Pruned(deleted.rowcount, bounds.until, is_all=bounds.until >= bounds.last)


async def prune_jobs(connection: AsyncConnection, retention: timedelta) -> int:
    """Delete jobs that ended at least ``retention`` ago, with their events. Return their number."""
    deleted = await connection.execute(_PRUNE_JOBS, {"retention": retention})
    return deleted.rowcount
