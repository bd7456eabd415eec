"""What the database has of jobs, events and timers, and how to have time pass for it."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.jobs import make_due
from tests.world import until

Row = dict[str, Any]
# Seconds; the retry policy waits at most 2 s before a first retry by the service's clock, the tests read PostgreSQL's.
SOON = 3


async def query(url: str, statement: str, **values: Any) -> list[Row]:
    """Run one statement on a connection of its own; gives its rows, if it has any."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row
    ) as connection:
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


async def jobs(url: str, task: str = "review") -> list[Row]:
    """The jobs of this task that wait or run; ``wait`` is in seconds from now."""
    return await query(
        url,
        "SELECT id, task_name, lock, status::text, attempts, args, args->>'submission_id' AS submission, "
        "extract(epoch FROM scheduled_at - now())::float AS wait FROM procrastinate_jobs "
        "WHERE task_name = %(task)s AND status IN ('todo', 'doing') ORDER BY id",
        task=task,
    )


async def timers(url: str) -> list[Row]:
    """The timers that will fire."""
    return await jobs(url, "wake")


async def next_try(url: str, submission: str) -> float:
    """Wait until the submission's review was put off; gives for how many seconds."""

    async def look() -> float | None:
        waits = [row["wait"] for row in await jobs(url) if row["submission"] == submission and row["wait"]]
        return waits[0] if waits and waits[0] > 0 else None

    wait: float = await until(look, f"the review of {submission} to be put off")
    return wait


async def waits_until(
    url: str, submission: str, ends: Callable[[], Awaitable[Any]], *, most: int = 20
) -> list[float]:
    """Have the submission reviewed at each of its times until ``ends``; gives the seconds between them."""
    waits: list[float] = []

    async def put_off_or_ended() -> float | str | None:
        put_off = [row["wait"] for row in await jobs(url) if row["submission"] == submission]
        if put_off and put_off[0] is not None and put_off[0] > 0:
            return float(put_off[0])
        return "ended" if await ends() else None

    while len(waits) < most:
        found = await until(put_off_or_ended, "another try, or the end of them")
        if found == "ended":
            return waits
        waits.append(found)
        await make_due(url)
    raise AssertionError(f"after {most} tries there is still another: {waits}")


async def events(url: str) -> dict[str, Row]:
    """The inbox by event id."""
    return {row["event_id"]: row for row in await query(url, "SELECT * FROM inbox")}
