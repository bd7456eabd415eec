"""A bad day: a study, its participants, replicas of the service, and everything that can go wrong."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx

from service.domain.submission import Status
from service.postgres.database import Database
from service.prolific.client import Prolific
from service.rules import load
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import TWO_PARTS
from service.store.decisions import failed_submissions
from service.store.queue import enqueue_retry
from service.sweep.sweeper import Sweeper
from tests.integration.faults.basis import STRICT, VARIANTS, Change, InForce, Push, Said, now
from tests.integration.faults.replicas import Replica, Replicas, replicas
from tests.integration.faults.stored import query
from tests.jobs import make_due
from tests.world import (
    ADMIN,
    EVIDENCE,
    TOKEN,
    bearer,
    hash_of,
    signed,
    status_change,
    swept_just_now,
    until,
    write_rules,
)

NO_CODE, WRONG_CODE, HALF_DONE, DONE = None, "WR0NG", "0NEPART1", "B0THPART"
WAIT = timedelta(minutes=30)
LONG = timedelta(days=30)
# What PostgreSQL does by itself after a while, so that who sleeps in a transaction does not keep all others waiting.
END_IDLE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"


UNCLEAR_FOR_LONG = (
    "ALTER TABLE attempts DISABLE TRIGGER attempts_only_added",
    "UPDATE attempts SET at = at - interval '10 minutes'",
    "ALTER TABLE attempts ENABLE TRIGGER attempts_only_added",
)


def x_timestamp(ago: float = 0) -> str:
    """Prolific's time so many seconds ago, in milliseconds."""
    return str(int((time.time() - ago) * 1000))


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook that Prolific has to deliver; ``sent_at`` is the same whenever it is delivered."""

    submission: str
    status: str
    sent_at: str = field(default_factory=x_timestamp)
    id: str = field(default_factory=lambda: uuid4().hex)


@dataclass
class Day:
    """Everything that happens to one study. Whatever is asked of the service may fail: it may be dead."""

    state: SandboxState
    replicas: Replicas
    token: Path
    serving: Replica
    frozen: list[Replica] = field(default_factory=list)
    outbox: list[Event] = field(default_factory=list)
    delivered: list[Event] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    said: dict[str, Said] = field(default_factory=lambda: defaultdict(Said))
    rules: InForce = field(default_factory=InForce)
    ended_before: set[str] = field(default_factory=set)  # reported as ended, then as awaiting review
    began_at: datetime = field(default_factory=now)
    evening_at: datetime | None = None

    @property
    def database_url(self) -> str:
        return self.replicas.database_url

    # What participants and colleagues do

    async def begin(self) -> SimSubmission:
        submission = self.state.reserve(TWO_PARTS)
        submission.started_at -= timedelta(seconds=1000)
        return submission

    async def complete(self, submission: SimSubmission, code: str | None) -> None:
        self.state.complete(submission, code, time_taken=1000)

    async def meddle(self, submission: SimSubmission, status: Status) -> None:
        if submission.status is Status.AWAITING_REVIEW:
            self.state.meddle(submission, status)

    async def push(self, submission: SimSubmission, attention_failed: int) -> None:
        sent_at = now()
        answer = await self._ask(
            "PUT",
            f"/evidence/survey/{submission.id}",
            json.dumps({"attention_failed": attention_failed}).encode(),
            bearer(EVIDENCE),
        )
        taken_at = now() if answer and answer.status_code == 202 else None
        self.said[submission.id].pushes.append(Push(attention_failed, sent_at, taken_at))

    async def change_rules(self, variant: str, *, restart: bool) -> None:
        """Write other rules and wait until all replicas go by them: they are started again, or read them anew."""
        written_at = now()
        write_rules(self.replicas.rules, VARIANTS[variant])
        if restart:
            await self.crash(0, 0)
        else:
            await self._kill([one for one in self.replicas.started if one is not self.serving])
            await until(lambda: self._goes_by(variant), f"the {variant} rules to be in force")
        self.rules.changes.append(Change(variant, written_at, now()))

    async def _goes_by(self, variant: str) -> bool:
        answer = await self._ask("GET", "/api/status", b"", bearer(ADMIN))
        files = answer.json()["rules"]["files"] if answer and answer.is_success else []
        return [file["hash"] for file in files] == [hash_of(VARIANTS[variant])]

    # What becomes of webhooks

    async def deliver(self, number: int, spelt: Callable[[str], str] = str) -> None:
        if self.outbox:
            event = self.outbox.pop(number % len(self.outbox))
            await self._send(replace(event, status=spelt(event.status)))

    async def deliver_all(self) -> None:
        for _ in range(len(self.outbox)):
            await self.deliver(0)

    async def repeat(self, number: int) -> None:
        if self.delivered:
            await self._send(self.delivered[number % len(self.delivered)])

    async def lose(self, number: int) -> None:
        if self.outbox:
            del self.outbox[number % len(self.outbox)]

    async def ended_and_reopened(self, submission: SimSubmission, status: Status) -> None:
        """A webhook of an end an hour ago, which a colleague undid at once, is delivered late."""
        self.ended_before.add(submission.id)
        self.outbox.append(Event(submission.id, status.value, x_timestamp(ago=3600)))

    async def _send(self, event: Event) -> None:
        body = status_change(event.submission, event.status)
        headers = signed(body, event_id=event.id, sent_at=event.sent_at)
        answer = await self._ask("POST", "/webhooks/prolific", body, headers)
        if answer and answer.is_success:
            self.acknowledged.add(event.id)
            self.delivered.append(event)
        else:
            self.outbox.append(event)  # Prolific comes again

    async def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> httpx.Response | None:
        try:
            return await self.serving.http.request(method, path, content=body, headers=headers, timeout=10)
        except httpx.TransportError:
            return None

    # What becomes of Prolific

    async def trouble(self, fault: Fault) -> None:
        self.state.faults.add(fault)

    async def only_trouble(self, fault: Fault) -> None:
        self.state.faults.clear()
        await self.trouble(fault)

    async def down(self, seconds: float, *, refuses: bool) -> None:
        self.state.faults.down(seconds, "refuse" if refuses else 503)

    # What becomes of the service

    async def crash(self, amid: int, after: float) -> None:
        """Kill all replicas with -9 while so many webhooks are on their way to one of them, then start one."""
        deliveries = [asyncio.create_task(self.deliver(number)) for number in range(amid)]
        await asyncio.sleep(after)
        await self._kill(self.replicas.started)
        await asyncio.gather(*deliveries)
        await self._start()

    async def freeze(self) -> None:
        """The machine of a replica sleeps, and another takes its place; one that slept before is gone for good."""
        await self._kill([one for one in self.replicas.started if one is not self.serving])
        self.serving.freeze()
        self.frozen.append(self.serving)
        await asyncio.sleep(0.05)
        await query(self.database_url, END_IDLE)
        await self._start()

    async def thaw(self) -> None:
        """Those that slept go on where they were, for a moment by the rules that they knew."""
        self.rules.thawed_at.append(now())
        for replica in self.frozen:
            replica.thaw()
        self.frozen.clear()

    async def _kill(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            if replica.is_alive:
                await replica.kill()
        self.frozen = [replica for replica in self.frozen if replica.is_alive]

    async def _start(self) -> None:
        """A new replica, that takes over at once what earlier ones left: they have been silent for long."""
        await query(
            self.database_url,
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'",
        )
        self.serving = await self.replicas.start()
        await query(
            self.database_url,
            "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('reviews', 'rescue', 9, NULL, NULL, "
            "'{\"timestamp\": 0}', NULL)::procrastinate_job_to_defer_v1])",
        )

    async def set_token(self, token: str) -> None:
        self.token.write_text(token)

    async def sweep(self) -> None:
        """As ``autoreview sweep`` does."""
        prolific = Prolific(self.replicas.prolific_url, lambda: TOKEN)
        rules = load(self.replicas.rules)
        database = Database(self.database_url)
        async with prolific:
            await Sweeper(prolific, database, lambda: rules).sweep()
        await database.close()

    async def retry_failed(self) -> None:
        """As ``autoreview retry --all`` does."""
        database = Database(self.database_url)
        async with database.begin() as connection:
            for submission in await failed_submissions(connection):
                await enqueue_retry(connection, submission)
        await database.close()

    # How time goes by

    async def work(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def time_passes(self) -> None:
        """What waits for its next try has waited, and timers fire: early ones, by the service's clock."""
        await make_due(self.database_url, "review", "retry", "wake")

    async def days_pass(self, length: timedelta) -> None:
        self.replicas.clock.shift.value += length.total_seconds()
        await make_due(self.database_url, "review", "retry", "wake")

    async def clock_moves(self, seconds: int) -> None:
        """The service's clock is put right, or wrong."""
        self.replicas.clock.shift.value += seconds

    async def unclear_for_long(self) -> None:
        """What was sent without a clear answer was sent ten minutes ago: what Prolific shows now is the truth."""
        self.evening_at = now()
        for statement in UNCLEAR_FOR_LONG:
            await query(self.database_url, statement)

    async def evening(self) -> None:
        """Everything goes well again, by the rules of the morning, and all that is left is done."""
        self.state.faults.clear()
        await self.set_token(TOKEN)
        await self.change_rules(STRICT, restart=True)
        await until(self._has_kept_rules, "the rules to be kept, and what they call for enqueued")
        while self.outbox:
            await self.deliver_all()
        await self.sweep()
        await self._at_rest()
        await self.unclear_for_long()
        await self.days_pass(LONG)
        await self._at_rest()
        await self.retry_failed()
        await self._at_rest()

    async def _has_kept_rules(self) -> bool:
        newest = await query(self.database_url, "SELECT files FROM rule_books ORDER BY id DESC LIMIT 1")
        return bool(newest) and list(newest[0]["files"].values()) == [hash_of(VARIANTS[STRICT])]

    async def _at_rest(self) -> None:
        """No job waits, none runs; of those that would wait the time comes, but for timers of days."""

        async def look() -> bool:
            left = await query(
                self.database_url,
                "SELECT status, task_name FROM procrastinate_jobs WHERE task_name <> 'rescue' "
                "AND status IN ('todo', 'doing') AND (task_name <> 'wake' OR scheduled_at <= now())",
            )
            if any(job["status"] == "todo" for job in left):
                await make_due(self.database_url)
            return not left

        await until(look, "all work to be done")


@asynccontextmanager
async def bad_day(database_url: str, folder: Path) -> AsyncIterator[Day]:
    """A day with one replica of the service and no participant yet."""
    state = shipped_state(time_scale=1000.0, seed=7)
    rules, token = write_rules(folder / "rules", VARIANTS[STRICT]), folder / "token"
    token.write_text(TOKEN)
    await swept_just_now(database_url)
    async with (
        sandbox_running(create_app(state, token=TOKEN)) as url,
        replicas(database_url, url, rules, prolific_token=None, prolific_token_file=token) as service,
    ):
        day = Day(state, service, token, await service.start())
        day.rules.changes.append(Change(STRICT, day.began_at, day.began_at))
        state.listeners.append(lambda one: day.outbox.append(Event(one.id, one.status.value)))
        yield day
