"""Evidence as it was sent: only added, the newest of a source counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.evidence import EvidenceOrigin
from service.store.tables import evidence, submissions

MOST_PAYLOADS = 100  # payloads, of up to 64 KiB each

_HAS_ONLY_EVIDENCE = sa.text("""
    SELECT EXISTS (SELECT FROM evidence WHERE submission_id = :id)
       AND NOT EXISTS (SELECT FROM submissions WHERE id = :id)
       AND NOT EXISTS (SELECT FROM inbox WHERE submission_id = :id)
       AND NOT EXISTS (SELECT FROM decisions WHERE submission_id = :id)
""")


# Of each submission the newest payload of a source, by the index.
_NEWEST = sa.text("""
    SELECT wanted.id AS submission_id, e.payload, e.readings, e.origin
    FROM unnest(CAST(:submissions AS text[])) AS wanted (id) CROSS JOIN LATERAL (
        SELECT payload, readings, origin FROM evidence
        WHERE submission_id = wanted.id AND source = :source ORDER BY id DESC LIMIT 1
    ) e
""")


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """A payload to store: ``values`` by field, with ``participant_id`` where it says whom it is about.

    ``readings`` has the values by rule file, where files read one body differently and the submission's study is
    not known yet. ``remarks`` are sentences about fields that are missing, by field.
    """

    source: str
    submission: str
    values: Mapping[str, Any]
    origin: EvidenceOrigin = EvidenceOrigin.PUSH
    readings: Mapping[str, Mapping[str, Any]] | None = None
    remarks: Mapping[str, str] | None = None

    def is_repeat(self, newest: "NewEvidence | None") -> bool:
        """Return True if it adds nothing to the newest payload of its source."""
        return newest is not None and self.content == newest.content

    @property
    def content(self) -> tuple[Any, ...]:
        """Return what makes a payload differ from another: its values, and whether a browser sent them."""
        # A browser can send what it likes, so that the same values from a server are news.
        return self.values, self.origin is EvidenceOrigin.BROWSER, self.readings


@dataclass(frozen=True, slots=True)
class Delivered:
    """A stored payload, for people who watch deliveries."""

    id: int
    at: datetime
    source: str
    submission_id: str
    origin: str
    payload: Mapping[str, Any]
    remarks: Mapping[str, str] | None


async def add_evidence(connection: AsyncConnection, rows: Sequence[NewEvidence]) -> None:
    """Store a payload of a source. Earlier payloads stay as history.

    A ``participant_id`` in the values says whom a payload is about: a review ignores another participant's.
    """
    if rows:
        await connection.execute(
            sa.insert(evidence),
            [
                {
                    "source": row.source,
                    "submission_id": row.submission,
                    "payload": row.values,
                    "participant_id": row.values.get("participant_id"),
                    "origin": row.origin.value,
                    "readings": row.readings,
                    "remarks": row.remarks or None,
                }
                for row in rows
            ],
        )


async def newest_evidence(
    connection: AsyncConnection, source: str, submissions_: Sequence[str]
) -> dict[str, NewEvidence]:
    """Return the newest payload of a source for each submission that has one."""
    rows = await connection.execute(_NEWEST, {"source": source, "submissions": list(submissions_)})
    return {
        row.submission_id: NewEvidence(
            source, row.submission_id, row.payload, EvidenceOrigin(row.origin), row.readings
        )
        for row in rows
    }


async def delivered_after(
    connection: AsyncConnection, last: int, *, source: str | None = None, limit: int = 1000
) -> list[Delivered]:
    """Return the payloads stored after the one with this id, oldest first."""
    wanted = sa.select(
        evidence.c.id,
        evidence.c.received_at.label("at"),
        evidence.c.source,
        evidence.c.submission_id,
        evidence.c.origin,
        evidence.c.payload,
        evidence.c.remarks,
    ).where(evidence.c.id > last)
    if source is not None:
        wanted = wanted.where(evidence.c.source == source)
    rows = await connection.execute(wanted.order_by(evidence.c.id).limit(limit))
    return [Delivered(**row) for row in rows.mappings()]


async def last_delivered(connection: AsyncConnection, before: int = 0) -> int:
    """Return the id before the newest ``before`` payloads, 0 if there are no more than these."""
    wanted = sa.select(evidence.c.id).order_by(evidence.c.id.desc()).offset(before).limit(1)
    return await connection.scalar(wanted) or 0


async def has_only_evidence(connection: AsyncConnection, submission: str) -> bool:
    """Return True if only evidence was ever stored of the submission: no event, fetch or decision."""
    found = await connection.scalar(_HAS_ONLY_EVIDENCE, {"id": submission})
    return bool(found)


async def evidence_of(connection: AsyncConnection, submission: str) -> list[dict[str, Any]]:
    """Return the newest payloads of a submission: ``source, received_at, payload, origin, remarks, conflict``.

    ``conflict`` is True if the payload names another participant than the submission's: it is ignored.
    """
    conflict = sa.and_(
        evidence.c.participant_id.is_not(None),
        submissions.c.id.is_not(None),
        evidence.c.participant_id.is_distinct_from(submissions.c.participant_id),
    )
    rows = await connection.execute(
        sa.select(
            evidence.c.source,
            evidence.c.received_at,
            evidence.c.payload,
            evidence.c.origin,
            evidence.c.remarks,
            conflict.label("conflict"),
        )
        .select_from(evidence.outerjoin(submissions, submissions.c.id == evidence.c.submission_id))
        .where(evidence.c.submission_id == submission)
        .order_by(evidence.c.id.desc())
        .limit(MOST_PAYLOADS),
    )
    return [dict(row) for row in rows.mappings()]
