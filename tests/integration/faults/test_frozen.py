"""A frozen worker counts as dead. When it thaws, its review is still done only once.

``tests/acceptance/faults/test_frozen_worker.py`` waits as long as the service does until a worker counts as dead.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from tests.databases import Databases
from tests.integration.faults.replicas import Deployment, Replica, deployment
from tests.integration.faults.stored import query
from tests.world import until

ALL_ARE_SILENT = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
AT_WORK_ARE_SILENT = """
    UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'
    WHERE id IN (SELECT worker_id FROM procrastinate_jobs WHERE status = 'doing')
"""


@dataclass
class Freezing:
    """A deployment whose ``first`` replica is frozen during a review. Others are started meanwhile."""

    service: Deployment
    first: Replica

    async def freeze_during(self, submission: SimSubmission, endpoint: str) -> None:
        """Let the first replica review the submission, and freeze it while it asks Prolific for this."""
        await self.service.tell(self.first, submission)
        await self.service.asked(endpoint)
        self.first.freeze()

    async def second(self) -> Replica:
        """Start a replica that takes the first one for dead at once."""
        await query(self.service.url, ALL_ARE_SILENT)
        return await self.service.replicas.start()

    async def approved_once(self, replica: Replica, submission: SimSubmission) -> None:
        """Check that the submission was approved once, as Prolific and as the decisions show it."""
        await self.service.at_rest()
        assert submission.status is Status.APPROVED
        calls = self.service.state.calls_for(submission.id)
        assert [call.body for call in calls if call.affected] == [{"action": "APPROVE"}]
        assert {str(call.body) for call in calls} == {"{'action': 'APPROVE'}"}
        found = [(one["outcome"], one["status"]) for one in await self.service.decisions(replica, submission)]
        assert found in ([("approve", "applied")], [("approve", "already")])

    async def first_works(self, *, without: Replica) -> None:
        """Check that the first replica reviews as before."""
        await without.kill()
        another = self.service.completed()
        await self.service.tell(self.first, another)
        await self.approved_once(self.first, another)


@asynccontextmanager
async def freezing(database_url: str, folder: Path) -> AsyncIterator[Freezing]:
    async with deployment(database_url, folder) as service:
        yield Freezing(service, await service.replicas.start())


@pytest.fixture
async def frozen(database_url: str, tmp_path: Path) -> AsyncIterator[Freezing]:
    async with freezing(database_url, tmp_path) as found:
        yield found


async def approved(submission: SimSubmission) -> None:
    """Wait until another replica has approved the submission."""

    async def look() -> bool:
        return submission.status is Status.APPROVED

    await until(look, "another replica to approve it")


async def _log_has(replica: Replica, event: str) -> None:
    async def look() -> bool:
        return event in replica.log.read_text()

    await until(look, f"{event} in the log")


async def _thawed_during_the_second_review(frozen: Freezing, submission: SimSubmission) -> Replica:
    """Freeze the first replica, thaw it while a second one reviews, and return the second one."""
    frozen.service.state.faults.add(Fault("submission", latency=0.5), Fault("submission", latency=30))
    await frozen.freeze_during(submission, "submission")
    second = await frozen.second()
    await frozen.service.asked("submission", 2)
    frozen.first.thaw()
    await _log_has(frozen.first, "review.lease_lost")
    return second


async def test_thawed_worker_does_nothing_while_another_reviews(frozen: Freezing) -> None:
    """It sends nothing. It leaves the job, or only a sweep would resume the review after the other worker's death."""
    submission = frozen.service.completed()
    second = await _thawed_during_the_second_review(frozen, submission)
    assert frozen.service.state.calls_for(submission.id) == []
    await second.kill()
    await query(frozen.service.url, AT_WORK_ARE_SILENT)
    await frozen.approved_once(frozen.first, submission)


async def test_worker_frozen_while_sending_finds_its_request_settled(frozen: Freezing) -> None:
    submission = frozen.service.completed()
    frozen.service.state.faults.add(Fault("transition", took_effect=True, latency=0.5))
    await frozen.freeze_during(submission, "transition")
    await approved(submission)
    second = await frozen.second()
    await frozen.service.at_rest()
    frozen.first.thaw()
    await frozen.approved_once(second, submission)
    await frozen.first_works(without=second)


@asynccontextmanager
async def _locked(url: str, table: str) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield


async def test_worker_frozen_in_a_transaction_does_not_block_others(
    databases: Databases, tmp_path: Path
) -> None:
    """Its locks, a study's among them, outlive its heartbeats: PostgreSQL ends its session after ten seconds.

    The transaction waits for each table in turn. All three wait at the same time, each in its own database.
    """

    async def frozen_before(table: str) -> None:
        with databases.migrated() as url:
            async with freezing(url, tmp_path / table) as frozen:
                await _frozen_before_writing(frozen, table)

    await asyncio.gather(*map(frozen_before, ("decisions", "attempts", "submissions")))


async def _frozen_before_writing(frozen: Freezing, table: str) -> None:
    service = frozen.service
    submission, another = service.completed(), service.completed()
    async with _locked(service.url, table):
        await service.tell(frozen.first, submission)

        async def waits() -> bool:
            statement = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %(table)s::regclass"
            return bool(await query(service.url, statement, table=table))

        await until(waits, f"the review to wait for {table}")
        frozen.first.freeze()
    second = await frozen.second()
    await service.tell(second, another)
    await approved(another)
    await approved(submission)
    frozen.first.thaw()
    await frozen.approved_once(second, submission)
    await frozen.approved_once(second, another)
