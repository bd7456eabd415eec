"""Numbers over the submissions that were seen: a study's times, a participant's past."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import Status
from service.store.inbox import NEWEST_FIRST
from service.store.tables import ENDED

COUNTED = (Status.AWAITING_REVIEW, Status.APPROVED, Status.PARTIALLY_APPROVED, Status.REJECTED)


@dataclass(frozen=True, slots=True)
class Times:
    """Of a study's times taken, in seconds; ``sd`` is that of a sample, None below two."""

    count: int
    mean: float | None
    sd: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class Past:
    """How many other submissions of a participant were seen, and how many are now of each status."""

    submissions: int
    approved: int
    rejected: int
    returned: int


# The time as review.facts reckons it: Prolific's own unless that is nothing, else between the two times.
_TIMES = sa.text("""
    SELECT count(taken), avg(taken), stddev_samp(taken), percentile_cont(0.5) WITHIN GROUP (ORDER BY taken)
    FROM (
        SELECT coalesce(
            nullif(CAST(data ->> 'time_taken' AS double precision), 0),
            CASE WHEN data ->> 'started_at' IS NOT NULL THEN greatest(0, trunc(extract(epoch FROM
                CAST(data ->> 'completed_at' AS timestamptz) - CAST(data ->> 'started_at' AS timestamptz)
            )))::double precision END
        ) AS taken
        FROM submissions
        WHERE study_id = :study AND id <> :submission AND status = ANY(:counted)
          AND data ->> 'completed_at' IS NOT NULL
    ) AS times
""")

# What was fetched counts, unless a webhook received since then reports a final status: the newest of its
# submission's by Prolific's own time, since a late retry says what was, not what is.
_PAST = sa.text(f"""
    WITH named AS (
        SELECT DISTINCT submission_id AS id FROM inbox
        WHERE participant_id = :participant AND {ENDED}
          AND submission_id <> :submission
    ), reported AS (
        SELECT named.id, event.status, event.received_at AS at FROM named CROSS JOIN LATERAL (
            SELECT e.status, e.received_at FROM inbox e
            WHERE e.submission_id = named.id AND e.readable ORDER BY {NEWEST_FIRST} LIMIT 1
        ) event
    ), fetched AS (
        SELECT id, status, seen_at AS at FROM submissions WHERE participant_id = :participant AND id <> :submission
    ), newest AS (
        SELECT DISTINCT ON (id) id, upper(status) AS status
        FROM (SELECT * FROM reported UNION ALL SELECT * FROM fetched) AS both_of ORDER BY id, at DESC
    )
    SELECT count(*),
           count(*) FILTER (WHERE status = 'APPROVED'),
           count(*) FILTER (WHERE status = 'REJECTED'),
           count(*) FILTER (WHERE status = 'RETURNED')
    FROM newest
""")  # noqa: S608 - nothing of it comes from outside


async def times_of_study(connection: AsyncConnection, study: str, *, without: str) -> Times | None:
    """The times of the study's submissions that were completed and not given up, one left out.

    None where Prolific's list of the study was never read: what was seen then is no more than a part of it.
    """
    listed = sa.text("SELECT listed_at FROM studies WHERE id = :study")
    if await connection.scalar(listed, {"study": study}) is None:
        return None
    counted = [status.value for status in COUNTED]
    row = await connection.execute(_TIMES, {"study": study, "submission": without, "counted": counted})
    return Times(*row.one())


async def past_of_participant(connection: AsyncConnection, participant: str, *, without: str) -> Past:
    """The participant's submissions of all studies that this service saw, one left out."""
    row = await connection.execute(_PAST, {"participant": participant, "submission": without})
    return Past(*row.one())
