"""An attempt to connect that is cancelled frees its socket at once, and with it the server's process."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from service.postgres.database import Database
from tests.world import PATIENCE


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_garbage_collection")
async def test_cancelled_connect_closes_its_socket() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            began.set()
        ended.set()
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database(f"postgresql://name:password@127.0.0.1:{port}/name")
    connecting = asyncio.create_task(database.takes_writes())
    await asyncio.wait_for(began.wait(), PATIENCE)
    connecting.cancel()
    await asyncio.wait([connecting])
    await asyncio.wait_for(ended.wait(), PATIENCE)
    server.close()
