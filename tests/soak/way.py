"""The way from the service to its database: straight, through an address that fails over, or through PgBouncer."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import assert_never

from service.postgres.embedded_home import environment
from tests.integration.postgres.pooler import PROGRAM, configure, through_port
from tests.integration.postgres.silent import Address, address_of
from tests.process import free_port
from tests.soak.plan import Plan, Through
from tests.soak.postgres import Postgres
from tests.soak.replicas import Part, Replica

SILENT = (1.0, 8.0)  # seconds from the old server's silence to the new server's first answer

HAPPENS = {
    Through.DIRECT: "web, worker and database processes are killed with -9",
    Through.FAILOVER: (
        "web, worker and database processes are killed with -9, and the database fails over: open connections "
        f"go silent for good, new ones are answered after {SILENT[0]:.0f} to {SILENT[1]:.0f} s"
    ),
    Through.POOLER: (
        "web, worker and database processes are killed with -9, and so is the PgBouncer (transaction mode) "
        "between them"
    ),
}


@dataclass(frozen=True, slots=True)
class Way:
    """The URL that the service is given, and what stands between: processes, and addresses that fail over."""

    url: str
    replicas: Sequence[Replica] = ()
    addresses: Sequence["FailingOver"] = ()


class FailingOver:
    """The database's address. A kill is a failover: silence, then a server with the data and no open session."""

    part = Part.FAILOVER

    def __init__(self, address: Address, random: Random) -> None:
        self._address = address
        self._random = random
        self._moving: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._address.is_moved

    def kill(self) -> None:
        self._address.go_silent()
        self._moving = asyncio.create_task(self._move())

    async def _move(self) -> None:
        await asyncio.sleep(self._random.uniform(*SILENT))
        self._address.end_sessions()
        self._address.move()


@asynccontextmanager
async def way_to(database: Postgres, plan: Plan, folder: Path) -> AsyncIterator[Way]:
    """Open the plan's way to the database; logs in the folder."""
    match plan.through:
        case Through.DIRECT:
            yield Way(database.url)
        case Through.FAILOVER:
            async with address_of(database.url) as (address, url):
                yield Way(url, addresses=(FailingOver(address, plan.random("failover")),))
        case Through.POOLER:
            async with _pooler(database, plan, folder) as way:
                yield way
        case _:
            assert_never(plan.through)


@asynccontextmanager
async def _pooler(database: Postgres, plan: Plan, folder: Path) -> AsyncIterator[Way]:
    """PgBouncer as PostgreSQL's user, tied to the life of this process as that is."""
    assert PROGRAM
    program, port, own = Path(PROGRAM), free_port(), database.home.folder / "pgbouncer"
    own.mkdir()
    own.chmod(0o755)
    ini = configure(database.url, own, port)
    command = replace(database.home, programs=program.parent).command(program.name, str(ini))

    def launch() -> subprocess.Popen[bytes]:
        with (folder / "pgbouncer.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    replica = Replica("pooler", Part.POOLER, launch, plan.random("pooler"))
    replica.start()
    try:
        yield Way(through_port(database.url, port), replicas=(replica,))
    finally:
        await replica.stop(signal.SIGQUIT)
