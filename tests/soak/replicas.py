"""The processes of the soak, each with a supervisor that starts it again, as Kubernetes would."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Protocol

from service.postgres.embedded_home import Home
from tests.process import environment

PAUSE = (0.2, 3.0)  # seconds from a process's end to its next start
LOOK = 0.05  # seconds
STOPPING = 20.0  # seconds


class Part(StrEnum):
    WEB = "web"
    WORKER = "worker"
    DATABASE = "database"
    FAILOVER = "failover"
    POOLER = "pooler"


class Victim(Protocol):
    """What can be killed while it is alive, and comes back by itself."""

    @property
    def part(self) -> Part: ...

    @property
    def alive(self) -> bool: ...

    def kill(self) -> None: ...


class Replica:
    """One process at a fixed address, over all its lives."""

    def __init__(
        self, name: str, part: Part, launch: Callable[[], subprocess.Popen[bytes]], random: Random
    ) -> None:
        self.name = name
        self.part = part
        self.kills = 0
        self.ended_by_itself: list[int] = []  # exit codes
        self._launch = launch
        self._random = random
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._killed = False

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._killed and self._process.poll() is None

    def start(self) -> None:
        self._process = self._launch()
        self._supervisor = asyncio.create_task(self._supervise(), name=f"supervisor of {self.name}")

    def kill(self) -> None:
        """Without a chance to say anything: kill -9."""
        assert self._process
        self._killed = True
        self._process.kill()
        self.kills += 1

    async def _supervise(self) -> None:
        while True:
            await self._ended()
            await asyncio.sleep(self._random.uniform(*PAUSE))
            self._process, self._killed = self._launch(), False

    async def _ended(self) -> None:
        assert self._process
        while (code := self._process.poll()) is None:
            await asyncio.sleep(LOOK)
        if not self._killed:
            self.ended_by_itself.append(code)

    async def stop(self, how: int = signal.SIGTERM) -> None:
        """For good; by force where it doesn't listen."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                await asyncio.to_thread(self._process.wait, STOPPING)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def service_replica(
    name: str, part: Part, settings: Mapping[str, object], folder: Path, random: Random
) -> Replica:
    """``autoreview serve --only …``, its log in the folder."""
    python = Path(sys.executable)
    # The way the embedded PostgreSQL is started too: no child outlives the soak, however that ends.
    home = Home(folder, python.parent, os.geteuid(), os.getegid())
    command = home.command(python.name, "-m", "service", "serve", "--only", part.value)

    def launch() -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    return Replica(name, part, launch, random)
