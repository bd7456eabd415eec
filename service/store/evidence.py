"""Evidence as it was pushed: only added, the newest of a source counts."""

from collections.abc import Iterable
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


async def newest_evidence(
    connection: AsyncConnection, submission: str, sources: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """What each of the sources said last of the submission; a source that said nothing is absent."""
    rows = await connection.execute(
        sa.select(evidence.c.source, evidence.c.payload)
        .distinct(evidence.c.source)
        .where(evidence.c.submission_id == submission, evidence.c.source.in_(list(sources)))
        .order_by(evidence.c.source, evidence.c.id.desc()),
    )
    return {source: payload for source, payload in rows}


async def evidence_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """All that was ever pushed of a submission, newest first."""
    rows = await connection.execute(
        sa.select(evidence.c.source, evidence.c.received_at, evidence.c.payload)
        .where(evidence.c.submission_id == submission)
        .order_by(evidence.c.id.desc()),
    )
    return [dict(row) for row in rows.mappings()]
