"""The review path: its rate beside bare HTTP calls, its latency, its CPU time, its SQL."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import httpx
import psutil

from tests.bench import standin
from tests.bench.load import load
from tests.bench.report import report
from tests.databases import create, named
from tests.process import complete_settings, serving
from tests.statements import Executed, ServerLog, logged
from tests.world import signed, status_change, until, write_rules

CONCURRENCY = 16
WARM_UP = 64  # approvals
LATENCY = 0.05  # seconds, of each call to Prolific
BACKLOG = 600  # submissions at once
RATE, SECONDS = 20, 15  # webhooks a second, for so long
APPROVALS = 100  # whose statements are counted

RULES = f"""
version: 1
name: A benchmark
studies: [{standin.STUDY}]
rules:
  - name: unknown code
    when: submission.code_type == "UNKNOWN"
    hold: the code is none of the study's
  - name: very fast
    when: submission.pace < 0.2
    hold: faster than anyone reads
otherwise: approve
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """The service at work, and the stand-in that it calls."""

    service: httpx.AsyncClient
    process: psutil.Process
    prolific: httpx.AsyncClient

    @property
    def port(self) -> int:
        port = self.service.base_url.port
        assert port
        return port

    async def arrivals(self) -> dict[str, list[float]]:
        """The times of each submission's transitions."""
        found: dict[str, list[float]] = (await self.prolific.get(standin.ARRIVALS)).json()
        return found

    async def approved(self, number: int) -> dict[str, float]:
        """Wait for so many submissions in all to be approved, each once; return when."""

        async def all_there() -> bool:
            await asyncio.sleep(0.2)  # often enough, and cheap for both sides
            return len(await self.arrivals()) >= number

        await until(all_there, f"{number} transitions")
        arrivals = await self.arrivals()
        assert all(len(times) == 1 for times in arrivals.values()), "something was transitioned twice"
        return {submission: times[0] for submission, times in arrivals.items()}

    def cpu(self) -> float:
        """The seconds of CPU time that the service's own process has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def bench(folder: Path, postgres: str, log: Path) -> None:
    folder.mkdir()
    before = _bare_loop()
    with standin.running(LATENCY) as prolific:
        per_second, cpu = asyncio.run(_backlog(folder, _database(postgres), prolific))
    bare = (before + _bare_loop()) / 2  # the machine may have other work
    print(f"{'bare httpx loop':30} {bare:8.1f} pairs of calls/s")
    print(f"{'serve':30} {per_second:8.1f} reviews/s")
    report("reviews / bare httpx loop", per_second / bare, 0.5, at_least=True)
    with standin.running(0.0) as prolific:
        waits = asyncio.run(_stream(folder, _database(postgres), prolific))
    report(f"webhook to transition, {RATE}/s, median ms", median(waits), 40)
    report(f"webhook to transition, {RATE}/s, p99 ms", quantiles(waits, n=100)[98], 150)
    report("CPU ms an approval", cpu, 12)
    database = f"bench_{time.monotonic_ns()}"
    create(postgres, database, like="migrated")
    with standin.running(0.0) as prolific, logged(postgres, database, log) as server_log:
        executed, idle = asyncio.run(_counted(folder, named(postgres, database), prolific, server_log))
    _report_statements(executed, idle)


def _database(postgres: str) -> str:
    name = f"bench_{time.monotonic_ns()}"
    create(postgres, name, like="migrated")
    return named(postgres, name)


def _bare_loop() -> float:
    with standin.running(LATENCY) as prolific:
        command = [sys.executable, "-m", "tests.bench.bare_loop", prolific, str(BACKLOG), str(CONCURRENCY)]
        return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


@asynccontextmanager
async def _at_work(folder: Path, database: str, prolific: str) -> AsyncIterator[Subject]:
    """``serve`` on its own database, warmed up."""
    rules = write_rules(folder / "rules", RULES)
    settings = complete_settings(rules, folder / "unused", prolific)
    settings |= {"database_url": database, "prolific_concurrency": CONCURRENCY}
    async with (
        serving(settings, folder / "serve.log") as service,
        httpx.AsyncClient(base_url=prolific) as http,
    ):
        subject = Subject(service.http, psutil.Process(service.process.pid), http)
        await load(subject.port, WARM_UP)
        await subject.approved(WARM_UP)
        await asyncio.sleep(1)  # what follows the last transition is still written
        yield subject


async def _backlog(folder: Path, database: str, prolific: str) -> tuple[float, float]:
    """Reviews a second of a backlog, and milliseconds of CPU time for each."""
    async with _at_work(folder, database, prolific) as subject:
        cpu, began = subject.cpu(), time.monotonic()
        await load(subject.port, BACKLOG)
        arrivals = await subject.approved(WARM_UP + BACKLOG)
        await asyncio.sleep(1)
        return BACKLOG / (max(arrivals.values()) - began), 1000 * (subject.cpu() - cpu) / BACKLOG


async def _stream(folder: Path, database: str, prolific: str) -> list[float]:
    """Milliseconds from each webhook's answer to its transition's arrival."""
    answered: dict[str, float] = {}

    async def tell(submission: str) -> None:
        body = status_change(submission)
        answer = await subject.service.post("/webhooks/prolific", content=body, headers=signed(body))
        answered[submission] = time.monotonic()
        assert answer.status_code == 202, answer.text

    async with _at_work(folder, database, prolific) as subject, asyncio.TaskGroup() as tasks:
        began = time.monotonic()
        for number in range(RATE * SECONDS):
            await asyncio.sleep(began + number / RATE - time.monotonic())
            tasks.create_task(tell(f"5{number:023x}"))
        arrivals = await subject.approved(WARM_UP + RATE * SECONDS)
        return [1000 * (arrivals[submission] - at) for submission, at in answered.items()]


async def _counted(folder: Path, database: str, prolific: str, log: ServerLog) -> tuple[Executed, Executed]:
    """What the server executed for the approvals, and what it executes in the same time without any."""
    async with _at_work(folder, database, prolific) as subject:
        log.restart()
        began = time.monotonic()
        await load(subject.port, APPROVALS)
        await subject.approved(WARM_UP + APPROVALS)
        await asyncio.sleep(1)
        executed, seconds = log.read(), time.monotonic() - began
        log.restart()
        await asyncio.sleep(seconds)
        return executed, log.read()


def _report_statements(executed: Executed, idle: Executed) -> None:
    messages = (executed.messages - idle.messages) / APPROVALS
    transactions = (len(executed.transactions) - len(idle.transactions)) / APPROVALS
    print(
        f"{'messages to PostgreSQL':30} {messages:8.1f} an approval, with BEGIN, COMMIT and connection checks"
    )
    print(f"{'transactions':30} {transactions:8.1f} an approval, with those that only read")
    report("SQL statements an approval", (executed.statements - idle.statements) / APPROVALS, 15)
    report("transactions that write, an approval", (executed.writing - idle.writing) / APPROVALS, 4)
