"""Counts that triggers keep as rows are added. The sum of their changes is read, not the rows counted."""

from collections import defaultdict
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import tallies

_SUM_UP = sa.text("""
    WITH taken AS (DELETE FROM tallies RETURNING key, number)
    INSERT INTO tallies (key, number) SELECT key, sum(number) FROM taken GROUP BY key
""")


Tallied = Mapping[str, Mapping[tuple[str, ...], int]]
"""The counts of each kind, by the rest of their keys."""


async def tallied(connection: AsyncConnection) -> Tallied:
    """Return the non-zero counts of all kinds. They are read at once: the table has no index."""
    number = sa.func.sum(tallies.c.number)
    rows = await connection.execute(
        sa.select(tallies.c.key, sa.cast(number, sa.BigInteger))
        .group_by(tallies.c.key)
        .having(number != 0)
        .order_by(tallies.c.key)
    )
    found: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    for (kind, *key), counted in rows:
        found[kind][tuple(key)] = counted
    return found


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
