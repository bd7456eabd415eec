"""A known database error is logged once a minute, not by each caller."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout

from service.postgres.database import error_kind
from tests.integration.faults.test_database import read_only
from tests.process import complete_settings, serving
from tests.world import rules_text, signed, status_change, until, write_rules


async def test_a_read_only_database_fills_no_log(database_url: str, tmp_path: Path) -> None:
    rules, log = write_rules(tmp_path / "rules", rules_text()), tmp_path / "log"
    settings = complete_settings(rules, tmp_path / "data") | {"database_url": database_url}
    async with serving(settings, log) as running, read_only(database_url):

        async def deliver() -> int:
            body = status_change("abc")
            headers = signed(body, event_id=uuid4().hex)
            return (await running.http.post("/webhooks/prolific", content=body, headers=headers)).status_code

        for _ in range(20):
            assert await deliver() == 503
        await until(lambda: _met(log), "the sweep to have met it")
        begin = len(_lines(log))
        for _ in range(20):
            assert await deliver() == 503
            await asyncio.sleep(0.4)
        said = _lines(log)
        assert [line["event"] for line in said].count("database.read_only") == 1
        assert [line for line in said if "exception" in line] == []
        assert [line for line in said[begin:] if line["event"] != "database.unreachable"] == []


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


async def _met(log: Path) -> bool:
    return any(line["event"] == "database.read_only" for line in _lines(log))


def test_error_kind_is_found_below_wrapping_errors() -> None:
    def wrapped(cause: Exception) -> Exception:
        error = RuntimeError("a library's own")
        error.__cause__ = cause
        return error

    assert error_kind(wrapped(psycopg.errors.ReadOnlySqlTransaction())) == "read_only"
    assert error_kind(wrapped(psycopg.errors.DiskFull())) == "disk_full"
    assert error_kind(wrapped(psycopg.OperationalError())) == "unreachable"
    assert error_kind(SQLAlchemyTimeout("the pool is empty")) == "unreachable"
    assert error_kind(wrapped(ValueError())) == "other"
