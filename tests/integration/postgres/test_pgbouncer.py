"""PgBouncer in transaction mode: each transaction may have another of the server's sessions."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.errors import DatabaseError
from service.postgres.connection import Connections
from service.postgres.database import Database
from service.postgres.migrate import head, migrate
from tests.integration.postgres.pooler import needs_pgbouncer, pgbouncer
from tests.integration.postgres.roles import run
from tests.world import rules_text, world, write_rules

pytestmark = needs_pgbouncer
IGNORED = {"ignore_startup_parameters": "options"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user `nobody` can enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path) / "pgbouncer"


@pytest.mark.parametrize("more", [{}, IGNORED], ids=["options refused", "options ignored"])
@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
async def test_reviews_work_through_a_pooler(
    database_url: str, folder: Path, tmp_path: Path, pool_mode: str, more: dict[str, str]
) -> None:
    name = database_url.rpartition("/")[2]
    run(
        database_url,
        f"ALTER DATABASE \"{name}\" SET DateStyle = 'German'",
        f'ALTER DATABASE "{name}" SET IntervalStyle = iso_8601',
    )
    rules = write_rules(tmp_path / "rules", rules_text())
    size = "6" if pool_mode == "transaction" else "20"
    more = more | {"default_pool_size": size}
    async with (
        pgbouncer(database_url, folder, pool_mode=pool_mode, **more) as url,
        world(url, rules) as around,
    ):
        submissions = [around.completed() for _ in range(20)]
        assert {(await around.tell(each.id)).status_code for each in submissions} == {202}
        for each in submissions:
            assert (await around.settled(each.id))["status"] == "applied"
        assert all(len(around.calls(each.id)) == 1 for each in submissions)
        assert (await around.http.get("/readyz")).status_code == 200


async def test_nothing_is_prepared_or_listened_for_in_a_shared_session(
    database_url: str, folder: Path, tmp_path: Path
) -> None:
    rules = write_rules(tmp_path / "rules", rules_text())
    async with pgbouncer(database_url, folder, default_pool_size="1") as url:
        async with world(url, rules) as around:
            for _ in range(8):
                await around.reviewed(around.completed())
        async with await Connections(url).connect() as connection:
            assert connection.is_pooled
            left = await connection.execute(
                "SELECT name FROM pg_prepared_statements UNION ALL SELECT pg_listening_channels() "
                "UNION ALL SELECT locktype FROM pg_locks WHERE locktype = 'advisory'"
            )
            assert await left.fetchall() == []


async def test_each_transaction_has_the_session_settings(database_url: str, folder: Path) -> None:
    async with pgbouncer(database_url, folder, default_pool_size="1") as url:
        database, other = Database(url), Database(url)
        async with database.connect():
            pass
        async with other.connect() as connection:
            await connection.execute(sa.text("SET IntervalStyle = sql_standard"))
            await connection.execute(sa.text("SET idle_in_transaction_session_timeout = 0"))
            await connection.commit()
        async with database.connect() as connection:
            assert await connection.scalar(sa.text("SHOW IntervalStyle")) == "postgres"
            assert await connection.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "10s"
        await database.close()
        await other.close()


async def test_migrate_works_through_a_pooler(empty_database_url: str, folder: Path) -> None:
    async with pgbouncer(empty_database_url, folder) as url:
        results = await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))
    assert sorted(results, key=str) == sorted([(None, head()), *[(head(), head())] * 2], key=str)


@pytest.mark.parametrize("more", [{}, IGNORED], ids=["options refused", "options ignored"])
async def test_options_of_the_url_are_refused_where_the_pooler_drops_them(
    database_url: str, folder: Path, more: dict[str, str]
) -> None:
    async with pgbouncer(database_url, folder, **more) as url:
        own = f"{url}?options=-csearch_path%3Dreview"
        with pytest.raises(DatabaseError, match="ALTER ROLE name SET search_path"):
            await Connections(own).connect()
        with pytest.raises(DatabaseError, match="ALTER ROLE name SET search_path"):
            await asyncio.to_thread(migrate, own)
