"""The content of the dashboard's first page, bounded so that it costs the same with any number of records."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus, Guard
from service.store.decisions import IS_NEWEST, STATUS_OF, newest_decision
from service.store.holds import REPORTED, deadline
from service.store.tables import COMPLETED

MOST_WAITING = 1000  # submissions that await review and are looked at, the oldest
MOST_DECISIONS = 20_000  # of the last day that are counted, the newest
MOST_FAILED = 200


@dataclass(frozen=True, slots=True)
class WaitingGroup:
    """Submissions that await review for the same cause; ``reason`` is that of the oldest."""

    state: str
    guard: str | None
    number: int
    oldest: datetime
    reason: str | None
    submission: str

    @property
    def deadline(self) -> datetime:
        return deadline(self.oldest)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Submissions that await review, by cause. ``is_complete`` is False if only the oldest were counted."""

    groups: tuple[WaitingGroup, ...]
    is_complete: bool

    def number(self, state: str) -> int:
        return sum(group.number for group in self.groups if group.state == state)

    @property
    def next_deadline(self) -> datetime | None:
        """Return when Prolific approves the oldest of the held submissions."""
        return min((group.deadline for group in self.groups if group.state == "held"), default=None)


# What a submission that awaits review waits for, from its newest decision ``d``.
_STATE = f"""CASE
    WHEN reported.is_reported THEN 'ended'
    WHEN d.id IS NULL THEN CASE WHEN s.claimed THEN 'queued' ELSE 'unclaimed' END
    WHEN d.guard = '{Guard.WAITING}' THEN 'data'
    WHEN d.status = '{DecisionStatus.HELD}' THEN 'held'
    WHEN d.status = '{DecisionStatus.FAILED}' THEN 'failed'
    WHEN d.status = '{DecisionStatus.PENDING}' THEN 'sending'
    WHEN d.status = '{DecisionStatus.OBSERVED}' THEN 'observed'
    WHEN d.outcome = 'request_return' THEN 'asked'
    ELSE 'ended' END"""

_WAITING = f"""
    SELECT state, guard, count(*) AS number, min(at) AS oldest, (array_agg(reason ORDER BY at))[1] AS reason,
           (array_agg(id ORDER BY at))[1] AS submission
    FROM (
        SELECT s.id, d.guard, d.reason, {_STATE} AS state,
               coalesce(CAST(s.data ->> 'completed_at' AS timestamptz), s.first_seen_at) AS at
        FROM (SELECT * FROM submissions s WHERE status = 'AWAITING REVIEW' AND {{of_study}}
              ORDER BY {COMPLETED}, id LIMIT :most) s
        LEFT JOIN LATERAL (SELECT d.*, {STATUS_OF} AS status FROM {newest_decision("s.id")} d) d ON true
        CROSS JOIN LATERAL (SELECT EXISTS ({REPORTED}) AS is_reported) reported
    ) each
    GROUP BY state, guard ORDER BY number DESC, state
"""  # noqa: S608 - nothing of it comes from outside
_WAITING_OF_ALL = sa.text(_WAITING.replace("{of_study}", "true"))
_WAITING_OF_STUDY = sa.text(_WAITING.replace("{of_study}", "s.study_id = :study"))


async def waiting(connection: AsyncConnection, study: str | None = None) -> Waiting:
    """Return the submissions that await review, of one study or of all, by cause."""
    statement = _WAITING_OF_ALL if study is None else _WAITING_OF_STUDY
    rows = await connection.execute(statement, {"study": study, "most": MOST_WAITING})
    groups = tuple(WaitingGroup(**row) for row in rows.mappings())
    return Waiting(groups, sum(group.number for group in groups) < MOST_WAITING)


_PER_HOUR = sa.text(f"""
    SELECT date_bin('1 hour', decided_at, '2000-01-01 00:00Z') AS hour, outcome, count(*) AS number
    FROM (SELECT decided_at, outcome, guard FROM decisions
          WHERE decided_at > now() - interval '24 hours' ORDER BY decided_at DESC LIMIT {MOST_DECISIONS}) AS d
    WHERE guard IS DISTINCT FROM '{Guard.WAITING}'
    GROUP BY 1, 2
""")  # noqa: S608 - nothing of it comes from outside


async def outcomes_per_hour(connection: AsyncConnection) -> dict[datetime, dict[str, int]]:
    """Count the decisions of the last 24 hours by hour and outcome."""
    found: dict[datetime, dict[str, int]] = {}
    for row in await connection.execute(_PER_HOUR):
        found.setdefault(row.hour, {})[row.outcome] = row.number
    return found


_FAILED = sa.text(f"""
    SELECT d.submission_id, d.outcome, d.decided_at, coalesce(n.answer ->> 'message', d.reason) AS message
    FROM (SELECT decision_id, attempt_id FROM decision_states WHERE status = '{DecisionStatus.FAILED}'
          ORDER BY decision_id DESC LIMIT {MOST_FAILED}) state
    JOIN decisions d ON d.id = state.decision_id
    LEFT JOIN answers n ON n.attempt_id = state.attempt_id
    WHERE {IS_NEWEST} ORDER BY d.id DESC
""")  # noqa: S608 - nothing of it comes from outside


async def failed(connection: AsyncConnection) -> list[Mapping[Any, Any]]:
    """Return the submissions whose last decision failed, newest first, with what Prolific answered."""
    return list((await connection.execute(_FAILED)).mappings())


_VERSION = sa.text("""
    SELECT (SELECT max(id) FROM decisions), (SELECT max(id) FROM attempts), (SELECT max(attempt_id) FROM answers),
           (SELECT max(received_at) FROM inbox), (SELECT max(id) FROM evidence), (SELECT max(id) FROM brakes),
           (SELECT max(id) FROM rule_books), (SELECT max(id) FROM planned_decisions),
           (SELECT count(*) FROM planned_decisions WHERE ended_at IS NULL)
""")


async def version(connection: AsyncConnection) -> tuple[Any, ...]:
    """Return a value that changes with anything that pages show."""
    return tuple((await connection.execute(_VERSION)).one())
