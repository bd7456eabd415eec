"""uvicorn's server, which stops at once and leaves signals to its caller."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn

DATE_EVERY = 1.0  # seconds; answers carry their date in whole seconds
SETTLE = 0.01  # seconds until idle connections are closed, and those just accepted are known


class Server(uvicorn.Server):
    """A server that runs until ``stop``."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Accept no more connections, and finish the running requests."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Keep the date of answers current until ``stop``."""
        # uvicorn's own loop runs ten times a second to check whether it has to stop.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), DATE_EVERY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners and the idle connections, and wait for the requests under way."""
        # uvicorn's own waits for 0.1 seconds first, even if there is nothing to wait for.
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(SETTLE)
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        else:
            await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone: at a stop, readyz must fail before the socket closes."""
        yield
