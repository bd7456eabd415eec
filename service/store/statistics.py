"""Statistics over the submissions seen: the times of a study, the history of a participant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.spread import Repeated, deviation, median
from service.domain.submission import Status
from service.store.inbox import NEWEST_FIRST
from service.store.tables import ENDED_STATUS

COUNTED = (Status.AWAITING_REVIEW, Status.APPROVED, Status.PARTIALLY_APPROVED, Status.REJECTED)


@dataclass(frozen=True, slots=True)
class Times:
    """The times taken in a study, in seconds. ``sd`` is the sample's, None below two submissions.

    ``log_median`` is the median of the times' natural logarithms, ``log_deviation`` their median distance from it.
    """

    count: int
    mean: float | None
    sd: float | None
    median: float | None
    log_median: float | None = None
    log_deviation: float | None = None

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> "Times":
        """Compute them from how many took how many seconds."""
        counted = sorted((seconds, number) for seconds, number in counts.items() if number > 0)
        times = Repeated.of(counted)
        number = len(times)
        if not number:
            return cls(0, None, None, None)
        # Whole numbers: exact, however many there are.
        total = sum(seconds * many for seconds, many in counted)
        squares = sum(seconds * seconds * many for seconds, many in counted)
        spread = number * squares - total * total
        sd = sqrt(spread / (number * (number - 1))) if number > 1 else None
        logs = Repeated.of((log(seconds), many) for seconds, many in counted if seconds > 0)
        return cls(number, total / number, sd, median(times), *log_spread(logs))


def log_spread(logs: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the median of sorted logarithms and their median distance from it, None without any."""
    if not logs:
        return None, None
    center = median(logs)
    return center, deviation(logs, center)


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

# What the trigger kept, and the time of the submission that is left out as it was kept.
_TIMES = sa.text("""
    SELECT (SELECT listed_at FROM studies WHERE id = :study) AS listed_at, array_agg(seconds) AS seconds,
           array_agg(number) AS numbers,
           (SELECT autoreview_time_taken(status, data) FROM submissions
            WHERE id = :submission AND study_id = :study) AS own
    FROM (SELECT seconds, CAST(sum(number) AS bigint) AS number FROM study_times WHERE study_id = :study
          GROUP BY seconds) AS times
""")

# The fetched status counts, unless a webhook reported a final status after the fetch. Of several webhooks the newest
# by Prolific's own time counts, because a late retry reports an old status.
_PAST = sa.text(f"""
    WITH named AS (
        SELECT DISTINCT submission_id AS id FROM inbox
        WHERE participant_id = :participant AND {ENDED_STATUS}
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
    rows = await connection.execute(_TIMES, {"study": study, "submission": without})
    row = rows.one()
    if row.listed_at is None:
        return None
    counts = dict(zip(row.seconds or (), row.numbers or (), strict=True))
    if row.own is not None:
        counts[row.own] -= 1
    return Times.of(counts)


async def past_of_participant(connection: AsyncConnection, participant: str, *, without: str) -> Past:
    """Count a participant's submissions in all studies seen, without one of them."""
    row = await connection.execute(_PAST, {"participant": participant, "submission": without})
    return Past(*row.one())
