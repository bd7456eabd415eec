"""A frozen worker counts as dead. When it thaws, its review is still done only once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from service.domain.submission import Status
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests.integration.faults.replicas import Replica, Replicas, replicas
from tests.integration.faults.stored import events, jobs, query
from tests.world import (
    ADMIN,
    TOKEN,
    bearer,
    rules_text,
    signed,
    status_change,
    swept_just_now,
    until,
    write_rules,
)


@dataclass
class Night:
    """Two replicas in turn: ``first`` falls asleep, ``second`` is started while it sleeps."""

    state: SandboxState
    replicas: Replicas
    first: Replica

    @property
    def url(self) -> str:
        return self.replicas.database_url

    def completed(self) -> SimSubmission:
        submission = self.state.reserve(STROOP, notify=False)
        self.state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
        return submission

    async def tell(self, replica: Replica, submission: SimSubmission) -> None:
        body = status_change(submission.id)
        answer = await replica.http.post(
            "/webhooks/prolific", content=body, headers=signed(body, event_id=uuid4().hex)
        )
        assert answer.status_code == 202

    async def asleep(self, submission: SimSubmission, endpoint: str) -> None:
        """The first replica reviews the submission, and falls asleep while it asks Prolific for this."""
        await self.tell(self.first, submission)
        await self.asked(endpoint)
        self.first.freeze()

    async def asked(self, endpoint: str, number: int = 1) -> None:
        async def look() -> bool:
            return self.state.faults.seen.count(endpoint) >= number

        await until(look, f"{number} calls to {endpoint}")

    async def second(self) -> Replica:
        """A replica that takes the first for dead at once: it has slept for long."""
        await query(self.url, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
        return await self.replicas.start()

    async def decisions(self, replica: Replica, submission: SimSubmission) -> list[dict[str, Any]]:
        answer = await replica.http.get(
            "/api/decisions", params={"submission": submission.id}, headers=bearer(ADMIN)
        )
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    async def at_rest(self) -> None:
        """No review waits or runs, and no event is without one."""

        async def look() -> bool:
            unhandled = [row for row in (await events(self.url)).values() if row["handled_at"] is None]
            return not unhandled and await jobs(self.url) == []

        await until(look, "all reviews to end")

    async def approved_once(self, replica: Replica, submission: SimSubmission) -> None:
        """What the night may not change, as Prolific and the audit trail have it."""
        await self.at_rest()
        assert submission.status is Status.APPROVED
        assert [call.body for call in self.state.calls_for(submission.id) if call.affected] == [
            {"action": "APPROVE"}
        ]
        assert {str(call.body) for call in self.state.calls_for(submission.id)} == {"{'action': 'APPROVE'}"}
        found = [(one["outcome"], one["status"]) for one in await self.decisions(replica, submission)]
        assert found in ([("approve", "applied")], [("approve", "already")])


@pytest.fixture
async def night(database_url: str, tmp_path: Path) -> AsyncIterator[Night]:
    state = shipped_state(time_scale=1000.0, seed=7)
    rules = write_rules(tmp_path / "rules", rules_text())
    await swept_just_now(database_url)
    async with (
        sandbox_running(create_app(state, token=TOKEN)) as url,
        replicas(database_url, url, rules) as service,
    ):
        yield Night(state, service, await service.start())


async def test_worker_frozen_for_ten_seconds_is_replaced(night: Night) -> None:
    """At its own pace: heartbeats stop, the other notices, reviews, and the first wakes too late."""
    second = await night.replicas.start()
    submission = night.completed()
    night.state.faults.add(Fault("submission", latency=0.5))
    await night.asleep(submission, "submission")
    await _approved(submission)
    night.first.thaw()
    await night.approved_once(second, submission)
    await _works(night, night.first, alone_without=second)


async def _approved(submission: SimSubmission) -> None:
    async def look() -> bool:
        return submission.status is Status.APPROVED

    await until(look, "the other replica to approve it")


async def _log_says(replica: Replica, what: str) -> None:
    async def look() -> bool:
        return what in replica.log.read_text()

    await until(look, f"{what} in the log")


async def _works(night: Night, replica: Replica, *, alone_without: Replica) -> None:
    """It reviews as before."""
    await alone_without.kill()
    another = night.completed()
    await night.tell(replica, another)
    await night.approved_once(replica, another)


async def test_thawed_worker_sends_nothing_while_another_reviews(night: Night) -> None:
    submission = night.completed()
    night.state.faults.add(Fault("submission", latency=0.5), Fault("submission", latency=3))
    await night.asleep(submission, "submission")
    second = await night.second()
    await night.asked("submission", 2)
    night.first.thaw()
    await _log_says(night.first, "review.lease_lost")
    assert night.state.calls_for(submission.id) == []
    await night.approved_once(second, submission)


async def test_thawed_worker_does_not_end_the_job_of_another(night: Night) -> None:
    """Otherwise only a sweep would resume the review after the death of the other worker."""
    submission = night.completed()
    night.state.faults.add(Fault("submission", latency=0.5), Fault("submission", latency=30))
    await night.asleep(submission, "submission")
    second = await night.second()
    await night.asked("submission", 2)
    night.first.thaw()
    await _log_says(night.first, "review.lease_lost")
    await second.kill()
    await night.approved_once(night.first, submission)


async def test_worker_frozen_while_sending_finds_its_request_settled(night: Night) -> None:
    submission = night.completed()
    night.state.faults.add(Fault("transition", took_effect=True, latency=0.5))
    await night.asleep(submission, "transition")
    await _approved(submission)
    second = await night.second()
    await night.at_rest()
    night.first.thaw()
    await night.approved_once(second, submission)
    await _works(night, night.first, alone_without=second)


@asynccontextmanager
async def _in_the_way(url: str, lock: str) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(lock)
        yield


@pytest.mark.parametrize("table", ["decisions", "attempts", "submissions"])
async def test_worker_frozen_in_a_transaction_does_not_block_others(night: Night, table: str) -> None:
    """Its locks, a study's among them, outlive its heartbeats: PostgreSQL has to end its session."""
    submission, another = night.completed(), night.completed()
    async with _in_the_way(night.url, f"LOCK TABLE {table} IN SHARE MODE"):
        await night.tell(night.first, submission)

        async def waits() -> bool:
            found = await query(
                night.url,
                "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %(table)s::regclass",
                table=table,
            )
            return bool(found)

        await until(waits, f"the review to wait for {table}")
        night.first.freeze()
    second = await night.second()
    await night.tell(second, another)
    await _approved(another)
    await _approved(submission)
    night.first.thaw()
    await night.approved_once(second, submission)
    await night.approved_once(second, another)
