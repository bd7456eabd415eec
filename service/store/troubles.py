"""How the reviews of each submission fare: the bound on how often, and the troubles in a row."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import reviews

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong in a row, ``since`` when, as of ``now`` by the database's clock."""

    outages: int
    refusals: int
    since: datetime
    now: datetime


async def begin_review(connection: AsyncConnection, submission: str, most: int) -> timedelta | None:
    """Count a review of the submission; None, or after how long it may begin if ``most`` began within the hour.

    An hour that begins later than now, the clock having been set back, is over.
    """
    went_by = sa.func.clock_timestamp() - reviews.c.hour_began
    is_over = sa.or_(went_by >= HOUR, went_by < timedelta(0))
    new = insert(reviews).values(submission_id=submission, in_hour=1)
    row = await connection.execute(
        new.on_conflict_do_update(
            index_elements=[reviews.c.submission_id],
            set_={
                "hour_began": sa.case((is_over, sa.func.now()), else_=reviews.c.hour_began),
                "in_hour": sa.case((is_over, 1), else_=reviews.c.in_hour + 1),
            },
        ).returning(reviews.c.in_hour, reviews.c.hour_began + HOUR - sa.func.now())
    )
    begun, left = row.one()
    return left if begun > most else None


async def add_outage(connection: AsyncConnection, submission: str) -> Trouble:
    """Prolific gave no answer, or one that has nothing to do with this submission."""
    return await _add(connection, submission, "outages")


async def add_refusal(connection: AsyncConnection, submission: str) -> Trouble:
    """Prolific refused what was asked of this submission."""
    return await _add(connection, submission, "refusals")


async def end_troubles(connection: AsyncConnection, submission: str) -> None:
    """A review came to its end, well or not: the next trouble is the first again."""
    await connection.execute(
        sa.update(reviews)
        .where(reviews.c.submission_id == submission, reviews.c.troubled_since.is_not(None))
        .values(outages=0, refusals=0, troubled_since=None)
    )


async def _add(connection: AsyncConnection, submission: str, kind: str) -> Trouble:
    new = insert(reviews).values({"submission_id": submission, kind: 1, "troubled_since": sa.func.now()})
    row = await connection.execute(
        new.on_conflict_do_update(
            index_elements=[reviews.c.submission_id],
            set_={
                kind: reviews.c[kind] + 1,
                "troubled_since": sa.func.least(
                    reviews.c.troubled_since, sa.func.now()
                ),  # of what is not NULL
            },
        ).returning(reviews.c.outages, reviews.c.refusals, reviews.c.troubled_since, sa.func.now())
    )
    return Trouble(*row.one())
