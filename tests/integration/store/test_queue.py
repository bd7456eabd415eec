"""The worker's connections to the queue."""

import asyncio

import psycopg

from service.domain.decision import Trigger
from service.postgres.connection import Connections
from service.store.job_app import job_app
from service.store.queue import enqueue_reviews
from tests.conftest import Start
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


async def test_reviews_of_one_submission_follow_each_other_at_once(start: Start) -> None:
    """Not at the looks of the worker, once a second, of which 40 reviews would take 40."""
    async with start() as world:
        one = world.completed()
        async with world.service.database.begin() as connection:
            await enqueue_reviews(connection, [one.id] * 40, Trigger.EVIDENCE)
        async with asyncio.timeout(20):
            await world.at_rest()
