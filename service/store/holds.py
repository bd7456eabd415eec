"""Submissions that are held for manual review."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import Status
from service.store.decisions import STATUS_OF, held_since, newest_decision
from service.store.inbox import IS_FINAL, NEWEST_FIRST

REVIEWED_BY_PROLIFIC = timedelta(days=21)  # just after midnight GMT


@dataclass(frozen=True, slots=True)
class HeldSubmission:
    """A submission that is held for manual review, as the API and the command line show it.

    ``since`` is when the hold began, ``deadline`` when Prolific approves it. ``by`` names the person who holds it,
    None if the rules or a guard do.
    """

    submission_id: str
    study_id: str | None
    participant_id: str | None
    decision_id: int
    guard: str | None
    rule: str | None
    rule_file: str | None
    proposed: str
    reason: str
    by: str | None
    since: datetime
    age_s: int
    deadline: datetime


@dataclass(frozen=True, slots=True)
class HoldCount:
    """The number of submissions of a study that one guard or rule holds, and the time of the oldest decision."""

    study_id: str | None
    guard: str | None
    rule: str | None
    number: int
    oldest: datetime
    first_completed: datetime

    @property
    def deadline(self) -> datetime:
        """Return when Prolific approves the first of them."""
        return deadline(self.first_completed)


# A final status that a webhook reported after the last fetch of the submission: it needs no manual review, until the
# review that the webhook starts has fetched it. Prolific's own time decides which event is the newest.
REPORTED = f"""
    SELECT e.status FROM (
        SELECT e.status, e.received_at FROM inbox e
        WHERE e.submission_id = s.id AND e.readable ORDER BY {NEWEST_FIRST} LIMIT 1
    ) e
    WHERE e.received_at > s.seen_at AND {IS_FINAL}
"""  # noqa: S608 - nothing of it comes from outside

_HOLDS = f"""
    FROM submissions s
    JOIN LATERAL {newest_decision("s.id")} d ON d.outcome = 'hold'
    WHERE s.status = 'AWAITING REVIEW'
      AND {STATUS_OF} = 'held'
      AND d.guard IS DISTINCT FROM 'waiting'
      AND NOT EXISTS ({REPORTED})
      AND (CAST(:study AS text) IS NULL OR s.study_id = :study)
      AND (CAST(:rule AS text) IS NULL OR d.rule = :rule)
      AND (CAST(:guard AS text) IS NULL OR d.guard = :guard)
"""

_LISTED = sa.text(f"""
    SELECT * FROM (
        SELECT s.id AS submission_id, s.study_id, s.participant_id, d.id AS decision_id,
               d.guard, d.rule, d.rule_file, d.proposed, d.reason, d.by,
               coalesce((s.data ->> 'completed_at')::timestamptz, s.first_seen_at) AS completed_at,
               {held_since("s.id")} AS since
        {_HOLDS}
    ) held
    WHERE (CAST(:after AS timestamptz) IS NULL OR (since, submission_id) < (:after, CAST(:after_id AS text)))
    ORDER BY since DESC, submission_id DESC
    LIMIT :limit
""")  # noqa: S608 - nothing of it comes from outside

_COUNTED = sa.text(f"""
    SELECT s.study_id, d.guard, d.rule, count(*) AS number, min(d.decided_at) AS oldest,
           min(coalesce((s.data ->> 'completed_at')::timestamptz, s.first_seen_at)) AS first_completed
    {_HOLDS} GROUP BY s.study_id, d.guard, d.rule ORDER BY number DESC
""")


async def list_holds(
    connection: AsyncConnection,
    now: datetime,
    *,
    study: str | None = None,
    rule: str | None = None,
    guard: str | None = None,
    limit: int | None = 1000,
    after: tuple[datetime, str] | None = None,
) -> list[HeldSubmission]:
    """Return held submissions, newest first, those after a (since, submission) if given. ``limit`` None: all."""
    asked = {"study": study, "rule": rule, "guard": guard, "limit": limit}
    bounds = {"after": after[0], "after_id": after[1]} if after else {"after": None, "after_id": None}
    rows = await connection.execute(_LISTED, asked | bounds)
    return [_hold(dict(row), now) for row in rows.mappings()]


async def count_holds(connection: AsyncConnection, study: str | None = None) -> list[HoldCount]:
    """Count held submissions by study, guard and rule."""
    rows = await connection.execute(_COUNTED, {"study": study, "rule": None, "guard": None})
    return [HoldCount(**row) for row in rows.mappings()]


async def held_among(connection: AsyncConnection, submissions: Sequence[str]) -> list[str]:
    """Return which of the submissions are held, by their newest decision, and awaited review when last fetched."""
    rows = await connection.scalars(
        sa.text(f"""
            SELECT s.id FROM submissions s
            JOIN LATERAL {newest_decision("s.id")} d ON d.outcome = 'hold'
            WHERE s.id = ANY(:submissions) AND s.status = 'AWAITING REVIEW'
        """),  # noqa: S608 - nothing of it comes from outside
        {"submissions": list(submissions)},
    )
    return list(rows)


async def status_reported_since_fetch(connection: AsyncConnection, submission: str) -> str | None:
    """Return the final status that a webhook reported after the last fetch of the submission."""
    found: str | None = await connection.scalar(
        sa.text(
            f"SELECT reported.status FROM submissions s, LATERAL ({REPORTED}) reported WHERE s.id = :id LIMIT 1"  # noqa: S608
        ),
        {"id": submission},
    )
    return found


async def status_reported_last(connection: AsyncConnection, submission: str) -> str | None:
    """Return the final status in the newest webhook of a submission that was never fetched."""
    found: str | None = await connection.scalar(
        sa.text(f"""
            SELECT e.status FROM inbox e WHERE e.submission_id = :id AND e.readable
            ORDER BY {NEWEST_FIRST} LIMIT 1
        """),  # noqa: S608 - nothing of it comes from outside
        {"id": submission},
    )
    return found if Status.parse(found or "").is_final else None


def deadline(completed_at: datetime) -> datetime:
    """Return when Prolific approves a submission without a review: 0:00 GMT of the 21st day."""
    return datetime.combine((completed_at.astimezone(UTC) + REVIEWED_BY_PROLIFIC).date(), time(), UTC)


def _hold(row: dict[str, Any], now: datetime) -> HeldSubmission:
    ends = deadline(row.pop("completed_at"))
    age = max(0, int((now - row["since"]).total_seconds()))
    return HeldSubmission(**row, age_s=age, deadline=ends)


async def held_or_observed(connection: AsyncConnection, study: str | None) -> list[str]:
    """Return submissions that await review and are held, not by a person, or observed; oldest decision first."""
    rows = await connection.scalars(
        sa.text(f"""
            SELECT s.id FROM submissions s
            JOIN LATERAL {newest_decision("s.id")} d ON d.trigger <> 'person' AND {STATUS_OF} IN ('held', 'observed')
            WHERE s.status = 'AWAITING REVIEW' AND d.guard IS DISTINCT FROM 'waiting'
              AND (CAST(:study AS text) IS NULL OR s.study_id = :study)
            ORDER BY d.id
        """),  # noqa: S608 - nothing of it comes from outside
        {"study": study},
    )
    return list(rows)
