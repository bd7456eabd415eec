"""Which ids are known, and of what."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_SUBMISSION = sa.text("""
    SELECT EXISTS (SELECT FROM submissions WHERE id = :id) OR EXISTS (SELECT FROM inbox WHERE submission_id = :id)
        OR EXISTS (SELECT FROM decisions WHERE submission_id = :id)
        OR EXISTS (SELECT FROM evidence WHERE submission_id = :id)
""")
_STUDY = sa.text("""
    SELECT EXISTS (SELECT FROM studies WHERE id = :id) OR EXISTS (SELECT FROM submissions WHERE study_id = :id)
""")
# The newest decisions too: a submission may have been decided that was never fetched.
_OF_PARTICIPANT = sa.text("""
    SELECT id FROM submissions WHERE participant_id = :id
    UNION SELECT submission_id FROM decisions WHERE participant_id = :id LIMIT :limit
""")


async def is_known_submission(connection: AsyncConnection, wanted: str) -> bool:
    """Return True if anything was received or decided about a submission."""
    return bool(await connection.scalar(_SUBMISSION, {"id": wanted}))


async def is_known_study(connection: AsyncConnection, wanted: str) -> bool:
    """Return True if a study, or a submission of it, was fetched."""
    return bool(await connection.scalar(_STUDY, {"id": wanted}))


async def submissions_of(connection: AsyncConnection, participant: str, *, limit: int) -> list[str]:
    """Return submissions of a participant."""
    return list(await connection.scalars(_OF_PARTICIPANT, {"id": participant, "limit": limit}))


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """A study as last fetched, and how many of its submissions await review, ``MOST_AWAITING`` at most."""

    id: str
    name: str | None
    status: str | None
    reward: int | None
    seen_at: datetime
    awaiting: int


MOST_STUDIES = 200
MOST_AWAITING = 1000

# Prolific's ids begin with their time: in their order, the newest study is last.
_STUDIES = sa.text(f"""
    SELECT t.id, t.data ->> 'name' AS name, t.data ->> 'status' AS status,
           CAST(t.data ->> 'reward' AS bigint) AS reward, t.seen_at,
           (SELECT count(*) FROM (SELECT FROM submissions s WHERE s.study_id = t.id AND s.status = 'AWAITING REVIEW'
                                  LIMIT {MOST_AWAITING}) AS part) AS awaiting
    FROM studies t ORDER BY t.id DESC LIMIT {MOST_STUDIES}
""")  # noqa: S608 - nothing of it comes from outside


async def known_studies(connection: AsyncConnection) -> list[KnownStudy]:
    """Return the studies that were fetched, the newest first."""
    return [KnownStudy(**row) for row in (await connection.execute(_STUDIES)).mappings()]
