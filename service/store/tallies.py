"""Counts that triggers keep as rows are added. The sum of their changes is read, not the rows counted."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import tallies

_SUM_UP = sa.text("""
    WITH taken AS (DELETE FROM tallies RETURNING key, number)
    INSERT INTO tallies (key, number) SELECT key, sum(number) FROM taken GROUP BY key
""")


async def tallied(connection: AsyncConnection, kind: str) -> dict[tuple[str, ...], int]:
    """Return the non-zero counts of a kind, by the rest of their keys."""
    number = sa.func.sum(tallies.c.number)
    rows = await connection.execute(
        sa.select(tallies.c.key, sa.cast(number, sa.BigInteger))
        .where(tallies.c.key[1] == kind)
        .group_by(tallies.c.key)
        .having(number != 0)
        .order_by(tallies.c.key)
    )
    return {tuple(key[1:]): counted for key, counted in rows}


_SUM_UP_TIMES = sa.text("""
    WITH changes AS (
        DELETE FROM study_times WHERE NOT is_sum RETURNING study_id, seconds, number
    ), changed AS (
        SELECT DISTINCT study_id, seconds FROM changes
    ), sums AS (
        DELETE FROM study_times t USING changed c
        WHERE t.study_id = c.study_id AND t.seconds = c.seconds AND t.is_sum
        RETURNING t.study_id, t.seconds, t.number
    )
    INSERT INTO study_times (study_id, seconds, number, is_sum)
    SELECT study_id, seconds, sum(number), true
    FROM (SELECT * FROM changes UNION ALL SELECT * FROM sums) AS every
    GROUP BY study_id, seconds HAVING sum(number) <> 0
""")


async def sum_up(connection: AsyncConnection) -> None:
    """Replace the changes of each count by their sum, so that a read adds up only a few."""
    await connection.execute(_SUM_UP)
    await connection.execute(_SUM_UP_TIMES)
