"""What a killed worker left is reviewed soon, however long the backlog and however slow the calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from tests.conftest import Start
from tests.integration.faults.stored import Row, query
from tests.world import until

DEAD = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute') RETURNING id"
LEFT = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
    VALUES ('reviews', 'review', %(id)s::text,
            jsonb_build_object('submission_id', %(id)s::text, 'trigger', 'sweep'), 'doing', %(worker)s)
"""


@asynccontextmanager
async def _in_the_way(url: str) -> AsyncIterator[None]:
    """No review comes any further than to note its submission."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("LOCK TABLE submissions IN SHARE MODE")
        yield


async def _job(url: str, submission: str) -> Row:
    (row,) = await query(
        url,
        "SELECT status::text, priority, attempts FROM procrastinate_jobs WHERE lock = %(id)s",
        id=submission,
    )
    return row


async def test_a_dead_workers_review_is_given_to_others_though_all_slots_are_taken(
    start: Start, database_url: str
) -> None:
    async with start(prolific_concurrency=1) as world:
        left, *waiting = (world.completed() for _ in range(20))
        async with _in_the_way(database_url):
            for submission in waiting:
                await world.tell(submission.id)

            async def busy() -> bool:
                under_way = "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'"
                return len(await query(database_url, under_way)) == 2

            await until(busy, "all slots to be taken")
            (worker,) = await query(database_url, DEAD)
            await query(database_url, LEFT, id=left.id, worker=worker["id"])

            async def rescued() -> bool:
                status: str = (await _job(database_url, left.id))["status"]
                return status == "todo"

            await until(rescued, "the review to be there for others")
            assert await _job(database_url, left.id) == {"status": "todo", "priority": 1, "attempts": 1}
            assert await busy()
        await world.at_rest()
        ids = {one.id: (await world.decisions(one.id))[0]["id"] for one in (left, *waiting)}
        assert sum(other < ids[left.id] for other in ids.values()) <= 3, (
            "it had its turn before those that wait"
        )


async def test_a_workers_heart_is_watched(start: Start, database_url: str) -> None:
    """One that can't say that it lives is taken for dead, so it has to begin anew."""
    async with start() as world:

        async def worker() -> int | None:
            rows = await query(database_url, "SELECT id FROM procrastinate_workers ORDER BY id DESC LIMIT 1")
            return rows[0]["id"] if rows else None

        first = await until(worker, "a worker")
        await query(
            database_url,
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stop'; END $$",
        )
        await query(
            database_url,
            "CREATE TRIGGER stop BEFORE UPDATE ON procrastinate_workers FOR EACH ROW EXECUTE FUNCTION stop()",
        )

        async def another() -> bool:
            return await worker() not in {None, first}

        await until(another, "the worker to begin anew")
        await query(database_url, "DROP TRIGGER stop ON procrastinate_workers")
        assert (await world.reviewed(world.completed()))["status"] == "applied"
