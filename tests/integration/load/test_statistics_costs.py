"""What statistics cost a review does not grow with the study."""

import json
from typing import Any

import psycopg
import pytest

from service.postgres.database import Database
from service.store import statistics
from service.store.tallies import sum_up

FILL = """
    INSERT INTO submissions (id, study_id, participant_id, status, ever_final, claimed, data)
    SELECT 's' || n, 'study', 'p' || n, 'AWAITING REVIEW', false, true, jsonb_build_object(
        'completed_at', '2026-01-01T10:00:00+00:00', 'time_taken', 300 + n %% 600)
    FROM generate_series(1, %s) AS n
"""


async def plan_of_the_times(url: str, submissions: int) -> list[dict[str, Any]]:
    """Fill a study, sum up, and return the nodes of the plan that reads its times, with the rows they gave."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(FILL, [submissions])
    database = Database(url)
    async with database.begin() as summing:
        await sum_up(summing)
    await database.close()
    statement = str(statistics._TIMES).replace(":study", "'study'").replace(":submission", "'s1'")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("ANALYZE")
        cursor = await connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode())
        [[found]] = await cursor.fetchall()
    plan = json.loads(found) if isinstance(found, str) else found
    return list(nodes(plan[0]["Plan"]))


def nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


@pytest.mark.parametrize("submissions", [600, 20_000])
async def test_times_of_a_study_are_read_from_their_counts(database_url: str, submissions: int) -> None:
    for node in await plan_of_the_times(database_url, submissions):
        assert node["Actual Rows"] * node.get("Actual Loops", 1) <= 600, node
        assert node.get("Rows Removed by Filter", 0) == 0, node
