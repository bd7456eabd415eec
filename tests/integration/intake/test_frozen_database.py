"""A stopped PostgreSQL with open connections: clients get 503, and work continues when it resumes."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from service.app import Parts
from service.postgres.embedded import embedded_postgres
from tests.integration.faults.stored import events
from tests.world import rules_text, until, world, write_rules

PROMPT = 16.0  # seconds: the ten after which we give up, and what a crowded machine may take besides


@contextmanager
def frozen(data_dir: Path) -> Iterator[None]:
    """Stop the processes of the server, the main one first so that it starts no other."""
    pid = int((data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    server.suspend()
    processes = [server, *server.children(recursive=True)]
    for process in processes[1:]:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            with suppress(psutil.NoSuchProcess):  # stopped for good meanwhile
                process.resume()


async def test_frozen_database_is_answered_with_503_and_work_continues_afterwards(
    tmp_path: Path, data_dir: Path
) -> None:
    folder = write_rules(tmp_path / "rules", rules_text())
    with embedded_postgres(data_dir) as url:
        async with world(url, folder, parts=Parts(worker=False)) as around:
            assert (await around.tell("abc", event_id="before")).status_code == 202
            assert (await around.push("abc", {"attention_failed": 0})).status_code == 202
            with frozen(data_dir):
                began = time.monotonic()
                first = asyncio.gather(
                    around.tell("abc", event_id="e-1"),
                    around.tell("abc", event_id="e-2"),
                    around.push("abc", {"attention_failed": 1}),
                )
                assert (await around.http.get("/livez")).status_code == 200
                assert (await around.http.get("/readyz")).status_code == 503
                assert time.monotonic() - began < PROMPT / 2
                await asyncio.sleep(1)  # the writer is at it: what comes now waits
                late = asyncio.create_task(around.tell("abc", event_id="e-3"))
                _says_come_again(await first)
                assert time.monotonic() - began < PROMPT
                _says_come_again([await late])
                assert time.monotonic() - began < PROMPT + 1

            async def taken() -> bool:
                answers = [await around.tell("abc", event_id=f"e-{number}") for number in (1, 2, 3)]
                return all(answer.is_success for answer in answers)

            await until(taken, "the webhooks to be taken")
            assert (await around.push("abc", {"attention_failed": 1})).status_code == 202
            assert (await around.http.get("/readyz")).status_code == 200
            assert set(await events(url)) == {"before", "e-1", "e-2", "e-3"}


def _says_come_again(answers: Iterable[httpx.Response]) -> None:
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (503, "not_stored")
        assert int(answer.headers["Retry-After"]) > 0
