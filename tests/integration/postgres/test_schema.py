"""The schema: brought by migrations alone, the same as the code thinks, and only ever added to."""

import asyncio
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager

from service.postgres.migrate import alembic_config, head, migrate, sync_engine
from service.shipped import shipped
from service.store.tables import metadata


def test_migrating_twice_or_at_once_from_many_places_is_safe(empty_database_url: str) -> None:
    async def from_many_places() -> list[tuple[str | None, str]]:
        return await asyncio.gather(*(asyncio.to_thread(migrate, empty_database_url) for _ in range(4)))

    results = asyncio.run(from_many_places())
    assert sorted(results, key=str) == sorted([(None, head()), *[(head(), head())] * 3], key=str)


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(alembic_config()).get_heads()) == 1


def test_the_tables_are_as_the_code_thinks(database_url: str) -> None:
    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "table" or not (name or "").startswith("procrastinate_")

    engine = sync_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_down_and_up_again_leaves_nothing_behind(empty_database_url: str) -> None:
    migrate(empty_database_url)
    engine = sync_engine(empty_database_url)
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
        left = connection.execute(
            sa.text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        ).scalars()
        assert list(left) == ["alembic_version"]
    engine.dispose()
    assert migrate(empty_database_url) == (None, head())


def test_the_jobs_schema_is_that_of_the_installed_procrastinate() -> None:
    """A newer Procrastinate with another schema needs a migration of its own here."""
    assert Path(shipped("migrations") / "procrastinate-3.10.sql").read_text() == SchemaManager.get_schema()


@pytest.mark.parametrize("table", ["decisions", "attempts", "answers"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET {} = NULL"])
def test_decisions_and_attempts_are_only_ever_added(database_url: str, table: str, statement: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO decisions (submission_id, decided_at, trigger, outcome, proposed, mode, reason, trace, facts)"
            " VALUES ('a', now(), 'webhook', 'hold', 'hold', 'live', 'why', '[]', '{}')"
        )
        connection.execute("INSERT INTO attempts (decision_id) VALUES (1)")
        connection.execute("INSERT INTO answers (attempt_id, status) VALUES (1, 'failed')")
        column = {"decisions": "rule", "attempts": "request", "answers": "answer"}[table]
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
            connection.execute(statement.format(table, column))
