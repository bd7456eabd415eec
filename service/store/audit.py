"""Read the audit trail: lists, single decisions, counts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus, Guard, Outcome, Trigger
from service.store.tables import answers, attempts, decision_states, decisions
from service.store.tallies import Tallied


def _attempts() -> sa.ColumnElement[Any]:
    """Return the expression for a decision's attempts with their answers, oldest first."""
    attempt = sa.func.jsonb_build_object(
        "at",
        attempts.c.at,
        "request",
        attempts.c.request,
        "status_code",
        answers.c.status_code,
        "answer",
        answers.c.answer,
    )
    in_order = aggregate_order_by(attempt, attempts.c.id)
    return sa.func.coalesce(
        sa.select(sa.func.jsonb_agg(in_order))
        .select_from(attempts.outerjoin(answers))
        .where(attempts.c.decision_id == decisions.c.id)
        .correlate(decisions)
        .scalar_subquery(),
        sa.literal([], JSONB),
    )


WHOLE = sa.select(decisions, decision_states.c.status, _attempts().label("attempts")).join(
    decision_states, decision_states.c.decision_id == decisions.c.id
)


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """A filter of decisions. ``since`` and ``until`` bound ``decided_at``, ``until`` excluded."""

    submission: str | None = None
    study: str | None = None
    participant: str | None = None
    outcome: str | None = None
    rule: str | None = None
    guard: str | None = None
    status: str | None = None
    trigger: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        columns: dict[str, sa.ColumnElement[Any]] = {
            "submission": decisions.c.submission_id,
            "study": decisions.c.study_id,
            "participant": decisions.c.participant_id,
            "outcome": decisions.c.outcome,
            "rule": decisions.c.rule,
            "guard": decisions.c.guard,
            "status": decision_states.c.status,
            "trigger": decisions.c.trigger,
        }
        found = [column == getattr(self, name) for name, column in columns.items() if getattr(self, name)]
        if self.since:
            found.append(decisions.c.decided_at >= self.since)
        if self.until:
            found.append(decisions.c.decided_at < self.until)
        return found


FILTERS = tuple(field.name for field in fields(DecisionFilter))
# The filters that take one of a few values.
CHOICES: Mapping[str, type[StrEnum]] = {
    "outcome": Outcome,
    "status": DecisionStatus,
    "trigger": Trigger,
    "guard": Guard,
}


async def list_decisions(
    connection: AsyncConnection, wanted: DecisionFilter, *, limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """Return decisions with all their data, newest first, those with an id below ``before`` if given."""
    rows = await connection.execute((await _newest_first(connection, WHOLE, wanted, before)).limit(limit))
    return [dict(row) for row in rows.mappings()]


async def _newest_first(
    connection: AsyncConnection, query: sa.Select[Any], wanted: DecisionFilter, before: int | None
) -> sa.Select[Any]:
    """Return a query of decisions with its conditions and its order."""
    query = query.where(*wanted.conditions())
    below = decisions.c.id < before if before is not None else sa.true()
    if wanted.until is None:
        return query.where(below).order_by(decisions.c.id.desc())
    # By time: in the order of ids, all decisions since ``until`` would be read first.
    place = (decisions.c.decided_at, decisions.c.id)
    if before is not None:
        at = await connection.scalar(sa.select(decisions.c.decided_at).where(decisions.c.id == before))
        below = sa.tuple_(*place) < sa.tuple_(sa.literal(at), sa.literal(before)) if at else below
    return query.where(below).order_by(*(column.desc() for column in place))


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision as lists show it: without facts, trace and attempts."""

    id: int
    decided_at: datetime
    submission_id: str
    study_id: str | None
    participant_id: str | None
    trigger: str
    outcome: str
    proposed: str
    guard: str | None
    rule: str | None
    rule_file: str | None
    mode: str
    tag: str | None
    by: str | None
    note: str | None
    reason: str
    status: str


_LINE = [
    decision_states.c.status if field.name == "status" else decisions.c[field.name]
    for field in fields(DecisionLine)
]


async def decision_lines(
    connection: AsyncConnection, wanted: DecisionFilter, *, limit: int, before: int | None = None
) -> list[DecisionLine]:
    """Return decisions as lists show them, newest first; those with an id below ``before``."""
    query = sa.select(*_LINE).join(decision_states, decision_states.c.decision_id == decisions.c.id)
    rows = await connection.execute((await _newest_first(connection, query, wanted, before)).limit(limit))
    return [DecisionLine(**row) for row in rows.mappings()]


async def show_decision(connection: AsyncConnection, decision: int) -> dict[str, Any] | None:
    """Return a decision with its facts, trace and attempts, None if the id is unknown."""
    rows = await connection.execute(WHOLE.where(decisions.c.id == decision))
    row = rows.mappings().one_or_none()
    return dict(row) if row else None


_TAGS = sa.text("""
    SELECT DISTINCT ON (d.submission_id) d.submission_id, d.participant_id, d.outcome, d.tag, d.decided_at
    FROM decisions d WHERE d.study_id = :study ORDER BY d.submission_id, d.id DESC
""")


async def tags_of_study(connection: AsyncConnection, study: str) -> list[dict[str, Any]]:
    """Return the newest decision of each of the study's submissions, in the order of their ids."""
    rows = await connection.execute(_TAGS, {"study": study})
    return [dict(row) for row in rows.mappings()]


def decision_counts(tallied: Tallied) -> dict[str, dict[str, int]]:
    """Count decisions by outcome and by status."""
    counts: dict[str, dict[str, int]] = {"outcome": {}, "status": {}}
    for (outcome, status), number in tallied.get("decisions", {}).items():
        counts["outcome"][outcome] = counts["outcome"].get(outcome, 0) + number
        counts["status"][status] = counts["status"].get(status, 0) + number
    return counts


@dataclass(frozen=True, slots=True)
class ObservedRule:
    """The outcome that a rule under observation ``would`` have had, and for how many submissions."""

    rule_file: str | None
    rule: str
    would: str
    submissions: int


def observed_rules(tallied: Tallied) -> list[ObservedRule]:
    """Return what rules under observation would have decided, and for how many submissions."""
    return [
        ObservedRule(file or None, rule, would, number)
        for (file, rule, would), number in tallied.get("observed", {}).items()
    ]


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The number of jobs that are due, and since when the oldest of them is."""

    queued: int
    oldest: datetime | None


# In the order in which workers take them: PostgreSQL would otherwise read past all jobs that ended long ago.
_JOBS = sa.text("""
    SELECT (SELECT count(*) FROM (
                SELECT FROM procrastinate_jobs
                WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
                ORDER BY priority DESC, id LIMIT :most) AS part) AS queued,
           least((SELECT min(scheduled_at) FROM procrastinate_jobs WHERE status = 'todo' AND scheduled_at <= now()),
                 (SELECT min(at) FROM procrastinate_events WHERE type = 'deferred' AND job_id = (
                     SELECT id FROM procrastinate_jobs WHERE status = 'todo' AND scheduled_at IS NULL
                     ORDER BY id LIMIT 1))) AS oldest
""")


async def job_counts(connection: AsyncConnection, *, most: int | None = None) -> JobCounts:
    """Count the jobs that are due, up to ``most``. Timers in the future are not."""
    rows = await connection.execute(_JOBS, {"most": most})
    return JobCounts(**rows.mappings().one())
