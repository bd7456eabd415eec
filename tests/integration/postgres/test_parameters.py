"""The database URL: parsed once, so that every driver gets the same parts."""

import asyncio
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict

from service.postgres.connection import Connections
from service.postgres.database import Database
from service.postgres.migrate import sync_engine
from service.postgres.parameters import SESSION, connection_parameters, own_options
from service.store.job_app import job_app
from tests.integration.postgres.roles import run


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            "postgresql://me:pa/ss/word@db:5433/review",
            {"password": "pa/ss/word", "host": "db", "dbname": "review"},
        ),
        ("postgresql://me:/x@db/review", {"password": "/x", "host": "db"}),
        ("postgres://me:p%40ss%2F@db/review", {"password": "p@ss/", "user": "me"}),
        ("postgresql://me@db/review?ssl=true", {"sslmode": "require"}),
        ("postgresql://me@%2Fvar%2Frun%2Fpostgresql:5433/x", {"host": "/var/run/postgresql", "port": "5433"}),
        ("postgresql:///x?host=/var/run/postgresql", {"host": "/var/run/postgresql", "dbname": "x"}),
        ("postgresql://me@[::1]:5433/x", {"host": "::1", "port": "5433"}),
        (
            "postgresql://me@a:1,b:2/x",
            {"host": "a,b", "port": "1,2", "target_session_attrs": "read-write"},
        ),
        ("postgresql://me@a,b/x?target_session_attrs=any", {"target_session_attrs": "any"}),
        ("postgresql://me@db/x?connect_timeout=20", {"connect_timeout": "20", "keepalives_idle": "5"}),
        ("postgresql://me@db/x?client_encoding=latin1", {"client_encoding": "utf8"}),
    ],
)
def test_url_is_parsed_into_parts(url: str, parts: dict[str, str]) -> None:
    found = connection_parameters(url)
    assert {name: found.get(name) for name in parts} == parts


def test_options_of_the_url_are_kept_before_those_of_the_service() -> None:
    url = "postgresql://me@db/x?options=-csearch_path%3Dreview"
    assert connection_parameters(url)["options"].startswith("-csearch_path=review -c DateStyle=ISO ")
    assert own_options(url) == "-csearch_path=review"
    assert own_options("postgresql://me@db/x") == ""


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me@db/x",
        "postgresql://me:a@b@db/x",
        "postgresql://db:5432/x@y",
        "postgresql://me:12/34@db/x",
        "postgresql://me:a%zz@db/x",
        "postgresql://me@db/x?sslmod=require",
        "postgresql://me@db:five/x",
        "postgresql://me@db/x?connect_timeout=soon",
    ],
)
def test_url_that_is_not_clear_is_refused_without_its_parts(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|can't)") as refusal:
        connection_parameters(url)
    assert "12/34" not in str(refusal.value)


async def test_engine_jobs_and_migrations_open_the_same_connections(database_url: str) -> None:
    """Not only the same URL: the same schema, encoding, application and session settings."""
    run(database_url, "CREATE SCHEMA review")
    url = f"{database_url}?options={quote('-csearch_path=review,public')}"
    ask = "SELECT current_setting('search_path'), current_setting('application_name'), current_setting('TimeZone')"
    wanted = ("review,public", "autoreview", "UTC")
    database = Database(url)
    async with database.connect() as connection:
        assert tuple((await connection.execute(sa.text(ask))).one()) == wanted
    app = job_app(database.connections)
    async with app.open_async():
        row = await app.connector.execute_query_one_async(f"SELECT ARRAY[{ask[7:]}] AS found")
        assert tuple(row["found"]) == wanted
    await database.close()

    def migrating() -> tuple[object, ...]:
        with sync_engine(url).connect() as connection:
            return tuple(connection.execute(sa.text(ask)).one())

    assert await asyncio.to_thread(migrating) == wanted


async def test_each_connection_has_keepalives_and_session_settings(database_url: str) -> None:
    connection = await Connections(database_url).connect()
    async with connection:
        used = conninfo_to_dict(connection.info.dsn)
        assert (used["keepalives_idle"], used["tcp_user_timeout"]) == ("5", "10000")
        for name, value in SESSION.items():
            row = await (await connection.execute(f"SHOW {name}")).fetchone()
            assert row
            assert str(row[0]).startswith(value)
