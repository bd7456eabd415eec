"""Removing what no review, fact or list will need: events that were handled, jobs that ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.inbox import IS_FINAL, NEWEST_FIRST

BATCH = 5_000  # events in one transaction


@dataclass(frozen=True, slots=True)
class Pruned:
    """A batch: the number of events deleted, until when handled ones were looked at, whether that is all of them."""

    deleted: int
    until: datetime
    is_all: bool


# In the order in which they were handled, so that each is looked at once.
_BATCH = sa.text("""
    SELECT greatest(CAST(:since AS timestamptz), coalesce((
               SELECT handled_at FROM inbox
               WHERE handled_at > coalesce(CAST(:since AS timestamptz), '-infinity') AND handled_at <= bound.last
               ORDER BY handled_at OFFSET :batch LIMIT 1), bound.last)) AS until, bound.last
    FROM (SELECT now() - :retention AS last) AS bound
""")

# A submission that ended stays known as ended, and a participant's past stays what it was: both rest on the events
# that report an end and, where there is one, on the newest event. The newest of all shows when webhooks last came.
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

# Jobs that succeed are deleted at once, with their events; left are those that failed or were cancelled.
_PRUNE_JOBS = sa.text("""
    DELETE FROM procrastinate_jobs j
    WHERE j.status IN ('succeeded', 'failed', 'cancelled', 'aborted')
      AND NOT EXISTS (SELECT FROM procrastinate_events e WHERE e.job_id = j.id AND e.at > now() - :retention)
""")


async def prune_events(
    connection: AsyncConnection, since: datetime | None, retention: timedelta, batch: int = BATCH
) -> Pruned:
    """Delete a batch of the events handled after ``since``, at least ``retention`` ago, that nothing needs."""
    values = {"since": since, "retention": retention, "batch": batch - 1}
    bounds = (await connection.execute(_BATCH, values)).one()
    deleted = await connection.execute(_PRUNE, {"since": since, "until": bounds.until})
    return Pruned(deleted.rowcount, bounds.until, is_all=bounds.until >= bounds.last)


async def prune_jobs(connection: AsyncConnection, retention: timedelta) -> int:
    """Delete the jobs that ended at least ``retention`` ago, with their events; return their number."""
    deleted = await connection.execute(_PRUNE_JOBS, {"retention": retention})
    return deleted.rowcount
