"""The service as processes that start within a moment, so that many can be killed with -9."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from service.app import Parts, build
from service.rulebook.current import RulesInForce
from service.rules import load
from service.sandbox.app import create_app
from service.sandbox.model import SimSubmission
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from service.serve import bind, serve
from service.settings import Settings
from service.telemetry.log import configure_logs
from tests.integration.faults.stored import events, jobs
from tests.process import free_port
from tests.world import (
    ADMIN,
    EVIDENCE,
    SECRET,
    TOKEN,
    bearer,
    client,
    rules_text,
    signed,
    status_change,
    swept_just_now,
    until,
    write_rules,
)

# A process that has imported everything once, and only forks: 20 times as fast as an interpreter's start.
FORKS: ForkServerContext = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.integration.faults.replicas"])


@dataclass
class Clock:
    """The clock of all replicas: the machine's, with ``shift`` seconds that tests add."""

    shift: Any = field(default_factory=lambda: FORKS.Value("d", 0.0))

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.shift.value)


@dataclass
class Replica:
    """One process of the service, web and worker."""

    process: ForkServerProcess
    http: httpx.AsyncClient
    log: Path

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    async def ready(self) -> None:
        async def look() -> bool:
            assert self.is_alive, self.log.read_text()
            try:
                return (await self.http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await until(look, "the replica to be ready")

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """Kill with SIGKILL at any point."""
        self.process.kill()
        await asyncio.to_thread(self.process.join)
        await self.http.aclose()


@dataclass
class Replicas:
    """Starts replicas on one database and one Prolific; kills what is left of them at the end."""

    database_url: str
    prolific_url: str
    rules: Path
    clock: Clock = field(default_factory=Clock)
    settings: Mapping[str, Any] = field(default_factory=dict)
    started: list[Replica] = field(default_factory=list)

    async def start(self) -> Replica:
        port = free_port()
        log = self.rules.parent / f"replica-{port}.log"
        settings = {"prolific_url": self.prolific_url, "port": port, **SETTINGS, **self.settings}
        process = FORKS.Process(
            target=_run, args=(settings, self.database_url, self.rules, self.clock, log), daemon=True
        )
        process.start()
        http = client(f"http://127.0.0.1:{port}")
        replica = Replica(process, http, log)
        self.started.append(replica)
        await replica.ready()
        return replica


@dataclass
class Deployment:
    """Replicas on one database, and the simulated Prolific that they ask."""

    state: SandboxState
    replicas: Replicas

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.replicas.database_url

    def completed(self) -> SimSubmission:
        """A submission that awaits review, without a webhook."""
        submission = self.state.reserve(STROOP, notify=False)
        self.state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
        return submission

    async def tell(self, replica: Replica, submission: SimSubmission) -> None:
        """Send a replica a signed webhook about the submission."""
        body = status_change(submission.id)
        headers = signed(body, event_id=uuid4().hex)
        assert (await replica.http.post("/webhooks/prolific", content=body, headers=headers)).is_success

    async def asked(self, endpoint: str, number: int = 1) -> None:
        """Wait until Prolific was asked for this so many times."""

        async def look() -> bool:
            return self.state.faults.seen.count(endpoint) >= number

        await until(look, f"{number} calls to {endpoint}")

    async def decisions(self, replica: Replica, submission: SimSubmission) -> list[dict[str, Any]]:
        """Return the submission's decisions as a replica's API shows them, newest first."""
        query = {"submission": submission.id}
        answer = await replica.http.get("/api/decisions", params=query, headers=bearer(ADMIN))
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    async def at_rest(self) -> None:
        """Wait until no review waits or runs, and every event is handled."""

        async def look() -> bool:
            unhandled = [row for row in (await events(self.url)).values() if row["handled_at"] is None]
            return not unhandled and await jobs(self.url) == []

        await until(look, "all reviews to end")


@asynccontextmanager
async def deployment(database_url: str, folder: Path, **settings: Any) -> AsyncIterator[Deployment]:
    """A deployment without replicas yet, whose rules approve; ``folder`` gets the rules and the logs."""
    state = shipped_state(time_scale=1000.0, seed=7)
    rules = write_rules(folder / "rules", rules_text())
    await swept_just_now(database_url)
    async with (
        sandbox_running(create_app(state, token=TOKEN)) as url,
        replicas(database_url, url, rules, **settings) as service,
    ):
        yield Deployment(state, service)


SETTINGS: dict[str, Any] = {
    "mode": "live",
    "prolific_token": TOKEN,
    "webhook_secrets": SECRET,
    "admin_token": ADMIN,
    "evidence_token": EVIDENCE,
}


@asynccontextmanager
async def replicas(
    database_url: str, prolific_url: str, rules: Path, **settings: Any
) -> AsyncIterator[Replicas]:
    """Replicas of the service can be started inside the block; none outlives it."""
    found = Replicas(database_url, prolific_url, rules, settings=settings)
    try:
        yield found
    finally:
        for replica in found.started:
            if replica.is_alive:
                await replica.kill()
            await replica.http.aclose()


def _run(settings: dict[str, Any], database_url: str, rules: Path, clock: Clock, log: Path) -> None:
    """The child: ``autoreview serve``, but for the clock."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with log.open("ab", buffering=0) as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    configure_logs(form="console", level="info")
    chosen = Settings(**settings)
    in_force = RulesInForce(load(rules), datetime.now(UTC), folder=rules)
    service = build(chosen, database_url, in_force, clock=clock)
    with bind(chosen) as listener:
        asyncio.run(serve(service, Parts(), listener))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
