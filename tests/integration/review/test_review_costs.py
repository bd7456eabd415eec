"""What one approval costs: SQL statements, transactions, files. Bounds, so that costs can't creep back."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.statements import NOT_LOGGED, Executed, ServerLog, Transaction, logged
from tests.trace import Trace, traced
from tests.world import World, until

# From the job's fetch to its end, Procrastinate's own included. The intake's transaction, which a batch of webhooks
# shares, is not.
MAX_STATEMENTS = 15
MAX_TRANSACTIONS = 4  # that write
# From the webhook's request to the end of its job: intake, review, rules, client and store
MAX_FILES = 51

APPROVALS = 5  # The cheapest counts: a periodic chore may run during any of the others.

RULES = f"""
version: 1
name: A test
studies: [{STROOP}]
rules:
  - name: unknown code
    when: submission.code_type == "UNKNOWN"
    hold: the code is none of the study's
  - name: very fast
    when: submission.pace < 0.2
    hold: faster than anyone reads
otherwise: approve
"""

BUSY = """
    SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE task_name <> 'rescue'
                   AND (status = 'doing' OR status = 'todo' AND coalesce(scheduled_at, now()) <= now()))
"""


async def approve_one(world: World, watch: psycopg.AsyncConnection) -> None:
    """One approval from its webhook to the end of its job, without asking the service, which would count too."""
    submission = world.completed()
    await world.tell(submission.id)

    async def done() -> bool:
        busy = await (await watch.execute(BUSY)).fetchone()
        return bool(world.calls(submission.id)) and busy == (False,)

    await until(done, "the approval")


@asynccontextmanager
async def warm(start: Start, database_url: str) -> AsyncIterator[tuple[World, psycopg.AsyncConnection]]:
    """The service at work with its caches filled, and a connection whose statements are not logged."""
    async with (
        start(RULES) as world,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True, options=NOT_LOGGED) as watch,
    ):
        for _ in range(3):
            await approve_one(world, watch)
        yield world, watch


def of_the_job(executed: Executed) -> Executed:
    """Without the intake, and without fetches that found no job: those are the worker's polling."""

    def belongs(transaction: Transaction) -> bool:
        is_intake = transaction.contains("INSERT INTO inbox")
        is_empty_fetch = transaction.contains("procrastinate_fetch_job") and not transaction.writes
        return not (is_intake or is_empty_fetch)

    return Executed(executed.messages, tuple(filter(belongs, executed.transactions)))


def shown(executed: Executed) -> str:
    reading = len(executed.transactions) - executed.writing
    lines = [
        f"{executed.statements} statements in {executed.writing} transactions that write and {reading} others"
    ]
    for transaction in executed.transactions:
        lines.append("writes" if transaction.writes else "reads")
        lines += [f"    {statement[:150]}" for statement in transaction.statements]
    return "\n".join(lines)


@pytest.fixture
def server_log(postgres: str, postgres_folder: Path, database_url: str) -> Iterator[ServerLog]:
    with logged(postgres, database_url.rpartition("/")[2], postgres_folder / "postgres.log") as log:
        yield log


async def test_approval_takes_few_statements_and_transactions(
    start: Start, database_url: str, server_log: ServerLog
) -> None:
    async with warm(start, database_url) as (world, watch):
        found = []
        for _ in range(APPROVALS):
            server_log.restart()
            await approve_one(world, watch)
            found.append(of_the_job(server_log.read()))
    cheapest = min(found, key=lambda one: one.statements)
    print(shown(cheapest))
    assert cheapest.writing > 0, "the server's log shows nothing"
    assert cheapest.statements <= MAX_STATEMENTS, shown(cheapest)
    assert cheapest.writing <= MAX_TRANSACTIONS, shown(cheapest)


async def test_approval_passes_through_few_files(start: Start, database_url: str) -> None:
    async with warm(start, database_url) as (world, watch):
        found: list[Trace] = []
        for _ in range(APPROVALS):
            with traced() as trace:
                await approve_one(world, watch)
            found.append(trace)
    shortest = min(found, key=lambda one: len(one.files))
    files = "\n".join(f"{number:5} {file}" for file, number in shortest.files.most_common())
    print(f"{len(shortest.calls)} calls in {len(shortest.files)} files, {shortest.moves} moves\n{files}")
    assert shortest.calls, "nothing was traced"
    assert len(shortest.files) <= MAX_FILES, files
