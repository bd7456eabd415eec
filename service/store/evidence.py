"""Evidence as it was pushed: only added, the newest of a source counts."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import evidence, submissions

PARTICIPANT_ID = "participant_id"
MOST_SHOWN = 100  # payloads, of up to 64 KiB each


async def add_evidence(
    connection: AsyncConnection, source: str, submission: str, payload: dict[str, Any]
) -> None:
    """Store what the source says now; what it said before stays as history.

    A ``participant_id`` in the payload says whom it is about: a review ignores another participant's.
    """
    about = payload.get(PARTICIPANT_ID)
    await connection.execute(
        sa.insert(evidence).values(
            source=source, submission_id=submission, payload=payload, participant_id=about
        )
    )


async def evidence_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """Return the newest payloads pushed for a submission, newest first: ``source, received_at, payload, conflict``.

    ``conflict`` is True where the payload names another participant than the submission's: it is ignored.
    """
    conflict = sa.and_(
        evidence.c.participant_id.is_not(None),
        submissions.c.id.is_not(None),
        evidence.c.participant_id.is_distinct_from(submissions.c.participant_id),
    )
    rows = await connection.execute(
        sa.select(evidence.c.source, evidence.c.received_at, evidence.c.payload, conflict.label("conflict"))
        .select_from(evidence.outerjoin(submissions, submissions.c.id == evidence.c.submission_id))
        .where(evidence.c.submission_id == submission)
        .order_by(evidence.c.id.desc())
        .limit(MOST_SHOWN),
    )
    return [dict(row) for row in rows.mappings()]
