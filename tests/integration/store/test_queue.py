"""The worker's connections to the queue."""

import asyncio

import psycopg

from service.postgres.connection import Connections
from service.store.job_app import job_app
from tests.world import until

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()"


async def test_queue_statement_is_repeated_after_a_cut_connection(database_url: str) -> None:
    """Else a finished job would seem to be in progress."""
    app = job_app(Connections(database_url))
    async with (
        app.open_async(),
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
    ):

        async def cut() -> bool:
            return bool((await other.execute(END, ["%pg_sleep(0.7)%"])).rowcount)

        saying = asyncio.create_task(app.connector.execute_query_async("SELECT pg_sleep(0.7)"))
        await until(cut, "the query to be under way, and cut")
        await saying
