"""A worker's host and the database disagree on what time it is: tries still come on time."""

import pytest

from service.sandbox.faults import Fault
from tests.conftest import Start
from tests.integration.faults.failing import failed
from tests.integration.faults.stored import query, waits_until
from tests.integration.faults.test_retries import OF_A_REFUSAL

CLOCKS = ("now", "clock_timestamp")
DEFAULTS = """
    SELECT table_name AS table, column_name AS name, column_default AS clock FROM information_schema.columns
    WHERE table_schema = 'public' AND column_default = ANY(%(clocks)s)
"""


async def put_clock(url: str, by: str) -> None:
    """From now on the database's clock is off by this interval, for every new connection."""
    name = url.rpartition("/")[2]
    await query(url, "CREATE SCHEMA off")
    for clock in CLOCKS:
        await query(
            url,
            f"CREATE FUNCTION off.{clock}() RETURNS timestamptz LANGUAGE sql STABLE "
            f"AS $$ SELECT pg_catalog.{clock}() + interval '{by}' $$",
        )
    # Defaults of columns keep the functions that they were made with.
    columns = await query(url, DEFAULTS, clocks=[f"{clock}()" for clock in CLOCKS])
    for column in columns:
        await query(url, "ALTER TABLE {table} ALTER {name} SET DEFAULT off.{clock}".format(**column))
    await query(url, f'ALTER DATABASE "{name}" SET search_path = off, pg_catalog, public')


@pytest.mark.parametrize("by", ["15 minutes", "-15 minutes"])
async def test_refusal_is_retried_seven_times_in_ten_minutes_for_any_local_clock(
    start: Start, database_url: str, by: str
) -> None:
    await put_clock(database_url, by)
    async with start() as world:
        world.prolific.add(Fault("transition", status=400, count=None))
        submission = world.completed()
        await world.tell(submission.id)
        waits = await waits_until(database_url, submission.id, lambda: failed(world, submission.id))
        assert waits == pytest.approx(OF_A_REFUSAL, abs=1.5)
