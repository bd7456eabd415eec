"""Submissions that are held for manual review."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import Status
from service.store.decisions import MAY_BEGIN_HOLD, STATUS_OF, first_of_hold, held_since, newest_decision
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
# review that the webhook starts has fetched it. Prolific's own time decides which event is the newest. ``EXISTS`` is
# checked first: the index alone shows that nothing came since, which is so for most.
REPORTED = f"""
    SELECT e.status FROM (
        SELECT e.status, e.received_at FROM inbox e
        WHERE e.submission_id = s.id AND e.readable ORDER BY {NEWEST_FIRST} LIMIT 1
    ) e
    WHERE e.received_at > s.seen_at AND {IS_FINAL}
      AND EXISTS (SELECT FROM inbox n WHERE n.submission_id = s.id AND n.received_at > s.seen_at)
"""  # noqa: S608 - nothing of it comes from outside

# The held submissions ``s`` with their newest decision ``d``.
NEWEST_IS_HOLD = f"""
    JOIN LATERAL {newest_decision("s.id")} d ON d.outcome = 'hold' AND d.guard IS DISTINCT FROM 'waiting'
"""
IS_HELD = f"s.status = 'AWAITING REVIEW' AND {STATUS_OF} = 'held' AND NOT EXISTS ({REPORTED})"

# An index alone shows whether a rule or guard ever held a submission, so that few newest decisions are read. ``IS TRUE``
# keeps PostgreSQL from reading all that it held: the queue is read in its order, and only as far as a page.
_EVER_HELD = """(EXISTS (
    SELECT FROM decisions x WHERE x.{column} = :{column} AND x.submission_id = s.id AND x.outcome = 'hold')) IS TRUE"""
# What holds are filtered by, of the submission ``s`` and of its newest decision ``d``.
_OF_SUBMISSION = {
    "study": "s.study_id = :study",
    "rule": _EVER_HELD.format(column="rule"),
    "guard": _EVER_HELD.format(column="guard"),
    "submission": "s.id = :submission",
}
_OF_DECISION = {"rule": "d.rule = :rule", "guard": "d.guard = :guard"}

_SHOWN = """
    s.id AS submission_id, s.study_id, s.participant_id, d.id AS decision_id, d.guard, d.rule, d.rule_file, d.proposed,
    d.reason, d.by, coalesce((s.data ->> 'completed_at')::timestamptz, s.first_seen_at) AS completed_at
"""
_LISTED = f"""
    SELECT * FROM (
        SELECT {_SHOWN}, {held_since("s.id")} AS since
        FROM submissions s {NEWEST_IS_HOLD} WHERE {IS_HELD} AND {{of_submission}} AND {{of_decision}}
    ) held
    WHERE {{after}} ORDER BY since DESC, submission_id DESC LIMIT :limit
"""  # noqa: S608 - nothing of it comes from outside
_AFTER = "(since, submission_id) < (CAST(:after AS timestamptz), CAST(:after_id AS text))"

# A page of all holds: from the decisions with which holds began, which an index has in the order of the list. All
# conditions are in one subquery, so that PostgreSQL goes through the index until the page is full.
_PAGE = f"""
    SELECT {_SHOWN}, f.since
    FROM (
        SELECT f.submission_id, f.decided_at AS since FROM decisions f
        WHERE {MAY_BEGIN_HOLD} AND {{after}} AND (
            SELECT d.id FROM submissions s {NEWEST_IS_HOLD}
            WHERE s.id = f.submission_id AND {IS_HELD} AND f.id = {first_of_hold("s.id")}
        ) IS NOT NULL
        ORDER BY f.decided_at DESC, f.submission_id DESC LIMIT :limit
    ) f JOIN submissions s ON s.id = f.submission_id {NEWEST_IS_HOLD}
    ORDER BY f.since DESC, f.submission_id DESC
"""  # noqa: S608 - nothing of it comes from outside
_PAGE_AFTER = "(f.decided_at, f.submission_id) < (CAST(:after AS timestamptz), CAST(:after_id AS text))"

_COUNTED = f"""
    SELECT s.study_id, d.guard, d.rule, count(*) AS number, min(d.decided_at) AS oldest,
           min(coalesce((s.data ->> 'completed_at')::timestamptz, s.first_seen_at)) AS first_completed
    FROM submissions s {NEWEST_IS_HOLD} WHERE {IS_HELD} AND {{of_submission}} AND {{of_decision}}
    GROUP BY s.study_id, d.guard, d.rule ORDER BY number DESC
"""  # noqa: S608 - nothing of it comes from outside


def filtered(statement: str, wanted: Mapping[str, str | None]) -> sa.TextClause:
    """Return the statement with the conditions of what is wanted: with optional ones it would use no index."""
    names = [name for name, value in wanted.items() if value is not None]
    for place, conditions in (("{of_submission}", _OF_SUBMISSION), ("{of_decision}", _OF_DECISION)):
        chosen = [conditions[name] for name in names if name in conditions]
        statement = statement.replace(place, " AND ".join(chosen) or "true")
    return sa.text(statement)


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
    wanted = {"study": study, "rule": rule, "guard": guard}
    statement, place = _LISTED, _AFTER
    if limit is not None and not any(wanted.values()):
        statement, place = _PAGE, _PAGE_AFTER
    statement = statement.replace("{after}", place if after else "true")
    bounds = {"after": after[0], "after_id": after[1]} if after else {}
    rows = await connection.execute(filtered(statement, wanted), wanted | bounds | {"limit": limit})
    return [_hold(dict(row), now) for row in rows.mappings()]


async def count_holds(connection: AsyncConnection, study: str | None = None) -> list[HoldCount]:
    """Count held submissions by study, guard and rule."""
    wanted = {"study": study}
    rows = await connection.execute(filtered(_COUNTED, wanted), wanted)
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
