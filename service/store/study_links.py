"""Signed study links that were verified, by their SHA-256: a link is a right to write, so it is not stored itself."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import study_links

VALID_FOR = timedelta(hours=24)


async def linked_submission(connection: AsyncConnection, digest: bytes) -> str | None:
    """Return the submission of a link that was verified within a day, None for any other."""
    found = await connection.scalar(
        sa.select(study_links.c.submission_id).where(
            study_links.c.digest == digest, study_links.c.verified_at > sa.func.now() - _interval(VALID_FOR)
        )
    )
    return None if found is None else str(found)


async def add_study_link(connection: AsyncConnection, digest: bytes, submission: str) -> None:
    """Store that a link was verified now; its day begins at the first time."""
    new = insert(study_links).values(digest=digest, submission_id=submission)
    await connection.execute(new.on_conflict_do_nothing(index_elements=["digest"]))


async def prune_study_links(connection: AsyncConnection) -> int:
    """Delete the links whose day is over; return their number."""
    over = study_links.c.verified_at < sa.func.now() - _interval(VALID_FOR)
    return (await connection.execute(sa.delete(study_links).where(over))).rowcount


def _interval(length: timedelta) -> sa.Cast[timedelta]:
    return sa.cast(length, sa.Interval)
