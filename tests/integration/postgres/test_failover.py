"""A failover: the old address goes silent, a new connection reaches the new server."""

import asyncio
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from service.postgres.connection import Connections
from service.postgres.database import Database
from tests.integration.postgres.silent import address_of
from tests.world import rules_text, until, world, write_rules

BACK_WITHIN = 30.0  # seconds, as promised


async def test_service_is_back_within_half_a_minute_of_a_failover(database_url: str, tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", rules_text())
    async with address_of(database_url) as (address, url), world(url, folder) as around:
        await around.reviewed(around.completed())
        address.go_silent()
        began = time.monotonic()
        await asyncio.sleep(2)
        address.move()
        submission = around.completed()

        async def taken() -> bool:
            return (await around.tell(submission.id, event_id="after")).is_success

        await until(taken, "the webhook to be stored")

        async def ready() -> bool:
            return (await around.http.get("/readyz")).status_code == 200

        assert (await around.settled(submission.id))["status"] == "applied"
        await until(ready, "the service to be ready")
        assert time.monotonic() - began < BACK_WITHIN


async def test_connection_without_an_answer_is_dropped(database_url: str) -> None:
    async with address_of(database_url) as (address, url):
        connections = Connections(url)
        watching = asyncio.create_task(connections.watch(after=1.0))
        async with await connections.connect() as connection:
            address.go_silent()
            address.move()
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 1")
            assert connection.closed
        watching.cancel()


async def test_slow_statement_is_waited_for(database_url: str) -> None:
    """The server says that it is at work on it."""
    database = Database(database_url)
    watching = asyncio.create_task(database.connections.watch(after=0.5))
    async with database.connect() as connection:
        assert await connection.scalar(sa.text("SELECT 'done' FROM pg_sleep(4)")) == "done"
    watching.cancel()
    await database.close()
