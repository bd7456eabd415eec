"""A clock that was set back: times in the future count as over."""

from service.postgres.database import Database
from service.store.reviews import add_outage, begin_review, end_review
from tests.integration.faults.stored import query

MOST = 3


async def test_limit_of_reviews_in_an_hour_ignores_an_hour_in_the_future(
    database_url: str,
) -> None:
    database = Database(database_url)

    async def begins() -> bool:
        async with database.single() as connection:
            begun = await begin_review(connection, "abc", MOST)
            await end_review(connection, "abc", began=begun.now, unread=(), lease=None)
            return begun.wait is None

    assert [await begins() for _ in range(MOST + 1)] == [True] * MOST + [False]
    await query(database_url, "UPDATE reviews SET hour_began = now() + interval '1 day'")
    assert [await begins() for _ in range(MOST + 1)] == [True] * MOST + [False]
    await database.close()


async def test_failures_with_a_start_in_the_future_count_from_now(database_url: str) -> None:
    """Retries end after a day, not after two because the clock was set back."""
    database = Database(database_url)
    async with database.begin() as connection:
        await add_outage(connection, "abc")
    await query(database_url, "UPDATE reviews SET troubled_since = now() + interval '1 day'")
    async with database.begin() as connection:
        trouble = await add_outage(connection, "abc")
    assert trouble.outages == 2
    assert trouble.since <= trouble.now
    await database.close()
