"""An address of a database that goes silent, as a failed primary's does: connections stay open, nothing answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Address:
    """Passes bytes on to the server. ``writers`` lead to the clients, ``sessions`` to the server."""

    target: tuple[str, int]
    is_moved: bool = True
    _passing: list[asyncio.Task[None]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    sessions: list[asyncio.StreamWriter] = field(default_factory=list)

    def go_silent(self) -> None:
        """From now on nothing answers: neither open connections nor new ones."""
        self.is_moved = False
        for task in self._passing:
            task.cancel()
        self._passing.clear()

    def end_sessions(self) -> None:
        """End the server's sessions, which a new server would not have. The clients don't notice."""
        for session in self.sessions:
            session.transport.abort()
        self.sessions.clear()

    def move(self) -> None:
        """New connections reach the server again; those from before stay silent."""
        self.is_moved = True

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        if not self.is_moved:
            return
        try:
            onward_reader, onward_writer = await asyncio.open_connection(*self.target)
        except OSError:  # the server is down
            writer.transport.abort()
            return
        self.sessions.append(onward_writer)
        if not self.is_moved:  # since a moment ago
            return
        self._passing += [
            asyncio.create_task(_pass(reader, onward_writer)),
            asyncio.create_task(_pass(onward_reader, writer)),
        ]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    # After a reset too. A task that is cancelled leaves it open: that is the silence.
    writer.close()


@asynccontextmanager
async def address_of(url: str) -> AsyncIterator[tuple[Address, str]]:
    """An address in front of the server; yields it and the URL that leads through it."""
    parts = urlsplit(url)
    address = Address((parts.hostname or "", parts.port or 5432))
    server = await asyncio.start_server(address.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield address, url.replace(f":{parts.port}/", f":{port}/")
    finally:
        address.go_silent()
        address.end_sessions()
        server.close()
        for writer in address.writers:
            writer.transport.abort()
