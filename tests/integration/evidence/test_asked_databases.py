"""`sql` sources: PostgreSQL and SQLite, read only."""

import sqlite3
from pathlib import Path

import psycopg
import pytest

from service.evidence.asked import Answered, Asked, Failed, NotYet, Outcome
from service.evidence.sql_source import SqlSource

QUERY = "SELECT failed, score, at FROM results WHERE session_id = :submission_id"
TABLE = "CREATE TABLE results (session_id text, failed integer, score numeric, at date)"
ROWS = "INSERT INTO results VALUES ('s1', 2, 0.5, '2026-01-01'), ('two', 1, 1, null), ('two', 1, 1, null)"


async def ask(url: str | None, query: str = QUERY, submission: str = "s1") -> Outcome:
    return await SqlSource("lab", query, lambda: url).fetch(Asked(submission, "p1", "study"))


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> str:
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "lab.db") as lab:
            lab.execute(TABLE)
            lab.execute(ROWS)
        return f"sqlite:///{tmp_path}/lab.db"
    with psycopg.connect(database_url) as server:
        server.execute(TABLE)
        server.execute(ROWS)
    return database_url


async def test_sql_source_accepts_one_row_waits_for_none_and_refuses_two(url: str) -> None:
    assert await ask(url) == Answered({"failed": 2, "score": 0.5, "at": "2026-01-01"})
    assert isinstance(await ask(url, submission="none"), NotYet)
    two = await ask(url, submission="two")
    assert isinstance(two, Failed)
    assert "more than one row" in two.reason


async def test_sql_source_passes_ids_as_parameters(url: str) -> None:
    assert isinstance(await ask(url, submission="' OR 1=1 --"), NotYet)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO results VALUES (:submission_id, 1, 1, null)",
        "DELETE FROM results WHERE session_id = :submission_id",
        "DROP TABLE results",
        "SELECT 1 AS failed WHERE :submission_id = 's1'; DELETE FROM results",
    ],
)
async def test_sql_source_never_writes(url: str, query: str) -> None:
    assert isinstance(await ask(url, query), Failed)
    assert isinstance(await ask(url), Answered)


async def test_sql_source_refuses_a_writing_statement(database_url: str) -> None:
    with psycopg.connect(database_url) as server:
        server.execute(TABLE)
        server.execute(ROWS)
    query = "WITH gone AS (DELETE FROM results RETURNING *) SELECT failed FROM gone WHERE session_id = :submission_id"
    found = await ask(database_url, query)
    assert isinstance(found, Failed)
    assert "read-only transaction" in found.reason
    assert isinstance(await ask(database_url), Answered)


async def test_sql_source_has_a_statement_timeout_in_the_database(url: str) -> None:
    query = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) "
        "SELECT count(*) AS failed FROM n WHERE :submission_id = 's1'"
    )
    source = SqlSource("lab", query, lambda: url, statement_timeout=0.2)
    assert isinstance(await source.fetch(Asked("s1", "p1", "study")), Failed)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "postgresql://user:s3cret@127.0.0.1:9/lab",
        "mysql+nodriver://user:s3cret@host/lab",
        "s3cret",
        "sqlite:////nowhere/s3cret-not.db",
        "mssql+pyodbc://user:s3cret@host/lab",
    ],
)
async def test_sql_source_failure_has_a_reason_without_the_password(url: str | None) -> None:
    found = await ask(url)
    assert isinstance(found, Failed)
    assert "s3cret@" not in found.reason
    assert "user:" not in found.reason.replace("dialect+driver://user:", "")
