"""What statistics cost a review does not grow with the study, up to 100,000 submissions."""

import json
from typing import Any

import psycopg
import pytest

from service.postgres.database import Database
from service.store import comparisons, statistics
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


@pytest.mark.parametrize("submissions", [600, 100_000])
async def test_times_of_a_study_are_read_from_their_counts(database_url: str, submissions: int) -> None:
    for node in await plan_of_the_times(database_url, submissions):
        assert node["Actual Rows"] * node.get("Actual Loops", 1) <= 600, node
        assert node.get("Rows Removed by Filter", 0) == 0, node


FILL_VALUES = """
    INSERT INTO counted_values SELECT 'study', 'survey', 'device', 's' || n, 'k' || n %% 10 FROM generate_series(1, %s) n;
    INSERT INTO value_counts SELECT study_id, source, field, key, count(*) FROM counted_values GROUP BY 1, 2, 3, 4;
    INSERT INTO text_signatures
        SELECT 'study', 'survey', 'essay', 's' || n, 'x', ARRAY[1] FROM generate_series(1, 100) n;
    INSERT INTO text_bands SELECT 'study', 'survey', 'essay', 1, 's' || n FROM generate_series(1, %s) n;
    ANALYZE
"""
GIVEN = """'[{"source": "survey", "field": "device", "value": "k1", "hashed": false}]'"""
PLACES = {":study": "'study'", ":submission": "'s1'", ":source": "'survey'", ":field": "'essay'"}


@pytest.mark.parametrize("submissions", [100, 100_000])
async def test_duplicates_are_found_without_reading_the_study(database_url: str, submissions: int) -> None:
    values = str(comparisons._READ).replace(":values", GIVEN)
    alike = str(comparisons._ALIKE).replace(":bands", "ARRAY[1, 2]::bigint[]")
    alike = alike.replace(":of_a_band", str(comparisons.MOST_OF_A_BAND)).replace(":most", "200")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for statement in FILL_VALUES.replace("%s", str(submissions)).replace("%%", "%").split(";"):
            await connection.execute(statement.encode())
        for statement in (placed(values), placed(alike)):
            cursor = await connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode())
            [[plan]] = await cursor.fetchall()
            for node in nodes(plan[0]["Plan"]):
                assert node["Actual Rows"] * node.get("Actual Loops", 1) <= 200, node
                assert node.get("Rows Removed by Filter", 0) <= 100, node


def placed(statement: str) -> str:
    for name, value in PLACES.items():
        statement = statement.replace(name, value)
    return statement
