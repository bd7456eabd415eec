"""Decisions planned on the dashboard. Each is carried out when it is due, unless it is undone before."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import planned_decisions as planned
from service.store.tables import selections

SELECTIONS_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned decision. ``seen`` is the submission's newest decision at that time, None if unknown."""

    id: int
    batch: str
    submission_id: str
    action: dict[str, Any]
    by: str
    note: str | None
    seen: int | None
    due_at: datetime
    ended_at: datetime | None = None
    decision_id: int | None = None
    refusal: str | None = None
    undone_by: str | None = None

    @property
    def is_open(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Selection:
    """A person's selection of submissions, each with its newest decision at that time."""

    id: str
    by: str
    submissions: tuple[str, ...]
    seen: tuple[int | None, ...]


_COLUMNS = [planned.c[name] for name in Planned.__dataclass_fields__]

_ADD = sa.text("""
    INSERT INTO planned_decisions (batch, submission_id, action, "by", note, seen, due_at)
    SELECT :batch, wanted.id, CAST(:action AS jsonb), :by, :note, nullif(wanted.seen, 0), :due_at
    FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS wanted (place integer, id text, seen bigint)
    ORDER BY wanted.place
    ON CONFLICT DO NOTHING
""")


async def add_planned(
    connection: AsyncConnection,
    batch: str,
    wanted: Mapping[str, int | None],
    action: Mapping[str, Any],
    *,
    by: str,
    note: str | None,
    due_at: datetime,
) -> int:
    """Plan the action for each submission (with its newest decision). Return how many are new.

    A submission for which something is planned already is left out.
    """
    rows = [{"place": place, "id": name, "seen": seen} for place, (name, seen) in enumerate(wanted.items())]
    values = {
        "batch": batch,
        "action": json.dumps(action),
        "by": by,
        "note": note,
        "due_at": due_at,
        "wanted": json.dumps(rows),
    }
    return (await connection.execute(_ADD, values)).rowcount


async def undo_planned(
    connection: AsyncConnection, batch: str, by: str, now: datetime, *, submission: str | None = None
) -> int:
    """Undo what of a batch has not been carried out, all or one submission. Return how many."""
    rows = await connection.execute(
        sa.update(planned)
        .where(
            planned.c.batch == batch,
            planned.c.ended_at.is_(None),
            planned.c.submission_id == submission if submission is not None else sa.true(),
        )
        .values(ended_at=now, undone_by=by)
    )
    return rows.rowcount


async def take_due(connection: AsyncConnection, now: datetime) -> Planned | None:
    """Return the planned decision that has been due for longest, locked until the transaction ends."""
    rows = await connection.execute(
        sa.select(*_COLUMNS)
        .where(planned.c.ended_at.is_(None), planned.c.due_at <= now)
        .order_by(planned.c.due_at, planned.c.id)
        .limit(1)
        # Any number of workers look: each takes another one, and none waits.
        .with_for_update(skip_locked=True)
    )
    row = rows.mappings().one_or_none()
    return Planned(**row) if row else None


async def end_planned(
    connection: AsyncConnection, one: int, now: datetime, *, decision: int | None, refusal: str | None
) -> None:
    """Store the result of a planned decision."""
    await connection.execute(
        sa.update(planned)
        .where(planned.c.id == one)
        .values(ended_at=now, decision_id=decision, refusal=refusal)
    )


async def postpone_planned(connection: AsyncConnection, one: int, until: datetime) -> None:
    """Try a planned decision again later."""
    await connection.execute(sa.update(planned).where(planned.c.id == one).values(due_at=until))


async def planned_for(connection: AsyncConnection, submissions: Sequence[str]) -> dict[str, Planned]:
    """Return the planned decisions of these submissions that were not carried out."""
    rows = await connection.execute(
        sa.select(*_COLUMNS).where(planned.c.submission_id.in_(submissions), planned.c.ended_at.is_(None))
    )
    return {row["submission_id"]: Planned(**row) for row in rows.mappings()}


async def planned_of(connection: AsyncConnection, submission: str) -> list[Planned]:
    """Return all planned decisions of a submission, oldest first."""
    rows = await connection.execute(
        sa.select(*_COLUMNS).where(planned.c.submission_id == submission).order_by(planned.c.id)
    )
    return [Planned(**row) for row in rows.mappings()]


@dataclass(frozen=True, slots=True)
class Batch:
    """Decisions that were planned together, and their progress."""

    id: str
    action: dict[str, Any]
    by: str
    due_at: datetime
    number: int
    left: int
    done: int
    undone: int
    refused: int
    refusal: str | None
    submission: str


_BATCHES = sa.text("""
    SELECT batch AS id, (array_agg(action))[1] AS action, min("by") AS by, min(due_at) AS due_at, count(*) AS number,
           count(*) FILTER (WHERE ended_at IS NULL) AS left, count(decision_id) AS done, count(undone_by) AS undone,
           count(refusal) AS refused, min(refusal) AS refusal, min(submission_id) AS submission
    FROM planned_decisions
    WHERE batch IN (
        (SELECT DISTINCT batch FROM planned_decisions WHERE ended_at IS NULL LIMIT 20)
        UNION (SELECT batch FROM planned_decisions WHERE batch = ANY(:batches)))
    GROUP BY batch ORDER BY min(id) DESC
""")


async def batches(connection: AsyncConnection, also: Sequence[str] = ()) -> list[Batch]:
    """Return the batches with something left to do, and those named, newest first."""
    rows = await connection.execute(_BATCHES, {"batches": list(also)})
    return [Batch(**row) for row in rows.mappings()]


async def keep_selection(connection: AsyncConnection, selection: Selection) -> None:
    """Keep a selection for a day."""
    await connection.execute(sa.delete(selections).where(selections.c.at < sa.func.now() - SELECTIONS_KEPT))
    await connection.execute(
        sa.insert(selections).values(
            id=selection.id,
            by=selection.by,
            submissions=list(selection.submissions),
            seen=[seen or 0 for seen in selection.seen],
        )
    )


async def selection(connection: AsyncConnection, one: str, by: str) -> Selection | None:
    """Return a person's own selection, None if there is none or it expired."""
    rows = await connection.execute(
        sa.select(selections).where(selections.c.id == one, selections.c.by == by)
    )
    row = rows.mappings().one_or_none()
    if row is None:
        return None
    return Selection(row["id"], row["by"], tuple(row["submissions"]), tuple(row["seen"]))
