"""Pushed evidence: rows are only added, the newest of a source counts."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import evidence, submissions

PARTICIPANT_ID = "participant_id"
MOST_SHOWN = 100  # payloads, of up to 64 KiB each

_HAS_ONLY_EVIDENCE = sa.text("""
    SELECT EXISTS (SELECT FROM evidence WHERE submission_id = :id)
       AND NOT EXISTS (SELECT FROM submissions WHERE id = :id)
       AND NOT EXISTS (SELECT FROM inbox WHERE submission_id = :id)
       AND NOT EXISTS (SELECT FROM decisions WHERE submission_id = :id)
""")


async def add_evidence(
    connection: AsyncConnection, source: str, submission: str, payload: dict[str, Any]
) -> None:
    """Store a payload of a source. Earlier payloads stay as history.

    A ``participant_id`` in the payload names its subject: a review ignores another participant's.
    """
    subject = payload.get(PARTICIPANT_ID)
    await connection.execute(
        sa.insert(evidence).values(
            source=source, submission_id=submission, payload=payload, participant_id=subject
        )
    )


async def has_only_evidence(connection: AsyncConnection, submission: str) -> bool:
    """Return True if only evidence was ever stored of the submission: no event, fetch or decision."""
    found = await connection.scalar(_HAS_ONLY_EVIDENCE, {"id": submission})
    return bool(found)


async def evidence_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """Return the newest payloads pushed for a submission, newest first: ``source, received_at, payload, conflict``.

    ``conflict`` is True if the payload names another participant than the submission's: it is ignored.
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
