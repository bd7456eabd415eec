"""Leases of fetches: an unfinished attempt is repeated, and its late result is ignored."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from service.postgres.database import Database
from service.store.fetches import FAILED, FOUND, NOT_YET, ask_sources, end_fetch, take_due
from service.store.tables import fetches

UNTIL = datetime.now(UTC) + timedelta(hours=1)


async def test_fetch_of_a_killed_process_is_due_again_after_its_lease(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as connection:
        await ask_sources(connection, "s1", {"lab": ("d1", UNTIL)})
    async with database.begin() as connection:
        [first] = await take_due(connection, {"lab": 4})
        assert await take_due(connection, {"lab": 4}) == []
    async with database.begin() as connection:
        # Its process was killed a minute ago.
        await connection.execute(sa.update(fetches).values(due_at=sa.func.now()))
        [second] = await take_due(connection, {"lab": 4})
        assert (first.attempts, second.attempts) == (1, 2)
        assert not await end_fetch(connection, first, FOUND, None, after=None)
        assert await end_fetch(connection, second, NOT_YET, "nothing yet", after=timedelta(minutes=1))
    async with database.begin() as connection:
        assert await take_due(connection, {"lab": 4}) == []
    await database.close()


async def test_due_fetch_is_taken_by_one_process_only(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as connection:
        for number in range(6):
            await ask_sources(connection, f"s{number}", {"lab": ("d1", UNTIL), "results": ("d2", UNTIL)})
    async with database.begin() as one, database.begin() as other:
        mine, theirs = await take_due(one, {"lab": 4, "results": 2}), await take_due(other, {"lab": 4})
        assert sorted(due.source for due in mine) == ["lab"] * 4 + ["results"] * 2
        assert len(theirs) == 2
        assert not {due.submission_id for due in mine if due.source == "lab"} & {
            due.submission_id for due in theirs
        }
    await database.close()


async def test_fetch_is_due_again_only_for_a_changed_declaration(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as connection:
        await ask_sources(connection, "s1", {"lab": ("d1", UNTIL)})
        [due] = await take_due(connection, {"lab": 4})
        await end_fetch(connection, due, FAILED, "no such table", after=None)
    async with database.begin() as connection:
        await ask_sources(connection, "s1", {"lab": ("d1", UNTIL)})
        assert await take_due(connection, {"lab": 4}) == []
        await ask_sources(connection, "s1", {"lab": ("d2", UNTIL)})
        [again] = await take_due(connection, {"lab": 4})
        assert (again.declaration, again.attempts, again.failures) == ("d2", 1, 0)
    await database.close()
