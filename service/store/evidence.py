"""Evidence as it was pushed: only added, the newest of a source counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import evidence


async def add_evidence(
    connection: AsyncConnection, source: str, submission: str, payload: dict[str, Any]
) -> None:
    """Keep what the source says now; what it said before stays as history."""
    await connection.execute(
        sa.insert(evidence).values(source=source, submission_id=submission, payload=payload)
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What each source said last, and the rows that were there to be read."""

    payloads: dict[str, dict[str, Any]]
    rows: tuple[int, ...]


async def newest_evidence(connection: AsyncConnection, submission: str) -> Said:
    """All that was pushed of the submission; a source that said nothing is absent."""
    rows = await connection.execute(
        sa.select(evidence.c.id, evidence.c.source, evidence.c.payload)
        .where(evidence.c.submission_id == submission)
        .order_by(evidence.c.id),
    )
    found = rows.all()
    return Said({source: payload for _, source, payload in found}, tuple(row for row, _, _ in found))


async def mark_evidence_handled(connection: AsyncConnection, rows: Sequence[int]) -> None:
    """A review that read these rows has come to its end."""
    await connection.execute(
        sa.update(evidence)
        .where(evidence.c.id.in_(rows), evidence.c.handled_at.is_(None))
        .values(handled_at=sa.func.now()),
    )


async def evidence_waits(connection: AsyncConnection, submission: str) -> bool:
    """Whether something was pushed that no finished review has read."""
    found = await connection.scalar(
        sa.select(sa.exists().where(evidence.c.submission_id == submission, evidence.c.handled_at.is_(None)))
    )
    return bool(found)


async def evidence_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """All that was ever pushed of a submission, newest first."""
    rows = await connection.execute(
        sa.select(evidence.c.source, evidence.c.received_at, evidence.c.payload)
        .where(evidence.c.submission_id == submission)
        .order_by(evidence.c.id.desc()),
    )
    return [dict(row) for row in rows.mappings()]
