"""Statistics over the submissions seen: the times of a study, the history of a participant."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import Status
from service.store.inbox import NEWEST_FIRST
from service.store.tables import ENDED

COUNTED = (Status.AWAITING_REVIEW, Status.APPROVED, Status.PARTIALLY_APPROVED, Status.REJECTED)


@dataclass(frozen=True, slots=True)
class Times:
    """The times taken in a study, in seconds. ``sd`` is the sample's, None below two submissions."""

    count: int
    mean: float | None
    sd: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class Past:
    """The number of a participant's other submissions seen, and how many now have each status."""

    submissions: int
    approved: int
    rejected: int
    returned: int


# The time as in review.facts: Prolific's own unless it is zero, else the difference of the two times.
TIME_TAKEN = """coalesce(
            nullif(CAST(data ->> 'time_taken' AS double precision), 0),
            CASE WHEN data ->> 'started_at' IS NOT NULL THEN greatest(0, trunc(extract(epoch FROM
                CAST(data ->> 'completed_at' AS timestamptz) - CAST(data ->> 'started_at' AS timestamptz)
            )))::double precision END
        )"""

_TIMES = sa.text(f"""
    SELECT count(taken), avg(taken), stddev_samp(taken), percentile_cont(0.5) WITHIN GROUP (ORDER BY taken)
    FROM (
        SELECT {TIME_TAKEN} AS taken
        FROM submissions
        WHERE study_id = :study AND id <> :submission AND status = ANY(:counted)
          AND data ->> 'completed_at' IS NOT NULL
    ) AS times
""")  # noqa: S608 - nothing of it comes from outside

# The fetched status counts, unless a webhook reported a final status after the fetch. Of several webhooks the newest
# by Prolific's own time counts, because a late retry reports an old status.
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
    """Return the times of the study's completed submissions that were not given up, without one of them.

    Return None if Prolific's list of the study was never read: the submissions seen are then only a part of it.
    """
    listed = sa.text("SELECT listed_at FROM studies WHERE id = :study")
    if await connection.scalar(listed, {"study": study}) is None:
        return None
    counted = [status.value for status in COUNTED]
    row = await connection.execute(_TIMES, {"study": study, "submission": without, "counted": counted})
    return Times(*row.one())


async def past_of_participant(connection: AsyncConnection, participant: str, *, without: str) -> Past:
    """Count a participant's submissions in all studies seen, without one of them."""
    row = await connection.execute(_PAST, {"participant": participant, "submission": without})
    return Past(*row.one())
