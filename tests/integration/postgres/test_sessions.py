"""Databases whose defaults differ: formats, time zone, encoding, isolation."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from service.postgres.connection import Connections, connect
from tests.conftest import Start
from tests.databases import named
from tests.process import autoreview

DEFAULTS = [
    {"DateStyle": "'German'"},
    {"DateStyle": "'SQL, DMY'"},
    {"IntervalStyle": "iso_8601"},
    {"TimeZone": "'America/St_Johns'"},
    {"client_encoding": "latin1"},
    {
        "default_transaction_isolation": "serializable",
        "DateStyle": "'Postgres'",
        "IntervalStyle": "sql_standard",
    },
]


@pytest.mark.parametrize("defaults", DEFAULTS, ids=str)
async def test_reviews_work_with_any_database_defaults(
    start: Start, database_url: str, defaults: dict[str, str]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, value in defaults.items():
            connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET {name} = {value}')
    async with start() as world:
        decision = await world.reviewed(world.completed())
        assert decision["status"] == "applied"


async def test_variables_of_the_shell_change_no_format(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGTZ": "America/St_Johns",
        "PGDATESTYLE": "German",
        "PGCLIENTENCODING": "latin1",
    }.items():
        monkeypatch.setenv(name, value)
    shown = (
        "SELECT current_setting('DateStyle'), current_setting('TimeZone'), current_setting('client_encoding')"
    )
    with connect(database_url) as connection:
        row = connection.execute(shown).fetchone()
    assert row
    assert (row[0].split(",")[0], *row[1:]) == ("ISO", "UTC", "UTF8")
    async with await Connections(database_url).connect() as other:
        assert await (await other.execute(shown)).fetchone() == row


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def unfit_url(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"unfit_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LOCALE 'C' LOCALE_PROVIDER libc"
        )
    yield named(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("command", ["migrate", "holds"])
def test_database_with_another_encoding_is_refused_in_a_sentence(unfit_url: str, command: str) -> None:
    ended = autoreview(command, settings={"database_url": unfit_url})
    assert ended.returncode == 2
    assert "has the encoding" in ended.stderr
    assert "ENCODING 'UTF8'" in ended.stderr
    assert ended.stderr.count("\n") == 1
