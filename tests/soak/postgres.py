"""A PostgreSQL that keeps its address and its data over kill -9."""

import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from service.postgres import embedded_server as server
from service.postgres.embedded import delete_database
from service.postgres.embedded_home import Home, find_home, make_data_dir
from service.postgres.migrate import migrate
from tests.process import free_port
from tests.soak.replicas import Part, Replica


@dataclass(frozen=True, slots=True)
class Postgres:
    replica: Replica
    url: str
    home: Home


@asynccontextmanager
async def postgres(folder: Path, random: Random) -> AsyncIterator[Postgres]:
    """Created, migrated and supervised inside the block; deleted at its end."""
    make_data_dir(folder)
    home = find_home(folder)
    server._create_data(home)
    password, port = home.password_file.read_text(), free_port()
    log = folder / "postgres.log"

    def launch() -> subprocess.Popen[bytes]:
        return server._launch(home, port, log)

    url = server._url(password, port, server.NAME)
    _prepare(launch(), server._url(password, port, "postgres"), url)
    replica = Replica("database", Part.DATABASE, launch, random)
    replica.start()
    try:
        yield Postgres(replica, url, home)
    finally:
        await replica.stop(signal.SIGINT)
        delete_database(folder)


def _prepare(process: subprocess.Popen[bytes], own: str, url: str) -> None:
    """Make the database and its schema, in a life of its own before the supervised ones."""
    try:
        assert server._ready(process, own), "PostgreSQL did not start"
        migrate(url)
    finally:
        server._stop(process)
