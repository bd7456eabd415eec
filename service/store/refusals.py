"""Deliveries of evidence that were refused, so that people see what a survey sends wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import evidence_refusals as refusals

LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A delivery that was refused; ``number`` counts it and the like ones before it that were not stored."""

    source: str
    submission_id: str | None
    reason: str
    message: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class StoredRefusal:
    """A refusal in the database."""

    id: int
    at: datetime
    source: str
    submission_id: str | None
    reason: str
    message: str
    number: int


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """The number of deliveries of a source that were refused for one reason, and the newest of them."""

    source: str
    reason: str
    number: int
    last_at: datetime
    last_message: str


_LATELY = sa.text("""
    SELECT DISTINCT ON (source, reason) source, reason, sum(number) OVER of_kind AS number,
           at AS last_at, message AS last_message
    FROM evidence_refusals WHERE at > now() - CAST(:within AS interval)
    WINDOW of_kind AS (PARTITION BY source, reason)
    ORDER BY source, reason, id DESC
""")


async def add_refusals(connection: AsyncConnection, rows: Sequence[Refusal]) -> None:
    if rows:
        await connection.execute(
            sa.insert(refusals),
            [
                {
                    "source": row.source,
                    "submission_id": row.submission_id,
                    "reason": row.reason,
                    "message": row.message,
                    "number": row.number,
                }
                for row in rows
            ],
        )


async def refused_lately(connection: AsyncConnection, within: timedelta = LATELY) -> list[RefusalCount]:
    """Count the refusals of this time by source and reason."""
    rows = await connection.execute(_LATELY, {"within": within})
    return [RefusalCount(**row) for row in rows.mappings()]


async def refused_after(
    connection: AsyncConnection, last: int, *, source: str | None = None, limit: int = 1000
) -> list[StoredRefusal]:
    """Return the refusals stored after the one with this id, oldest first."""
    wanted = sa.select(refusals).where(refusals.c.id > last)
    if source is not None:
        wanted = wanted.where(refusals.c.source == source)
    rows = await connection.execute(wanted.order_by(refusals.c.id).limit(limit))
    return [StoredRefusal(**row) for row in rows.mappings()]


async def refusals_of(connection: AsyncConnection, submission: str, limit: int = 100) -> list[StoredRefusal]:
    """Return the newest refusals that name a submission, newest first."""
    wanted = sa.select(refusals).where(refusals.c.submission_id == submission)
    rows = await connection.execute(wanted.order_by(refusals.c.id.desc()).limit(limit))
    return [StoredRefusal(**row) for row in rows.mappings()]


async def last_refused(connection: AsyncConnection, before: int = 0) -> int:
    """Return the id after which the newest ``before`` refusals come; 0 if there are no more than these."""
    wanted = sa.select(refusals.c.id).order_by(refusals.c.id.desc()).offset(before).limit(1)
    return await connection.scalar(wanted) or 0


async def prune_refusals(connection: AsyncConnection, retention: timedelta) -> int:
    """Delete the refusals older than this; return their number."""
    deleted = await connection.execute(
        sa.delete(refusals).where(refusals.c.at < sa.func.now() - sa.cast(retention, sa.Interval))
    )
    return deleted.rowcount
