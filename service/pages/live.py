"""Live updates: server-sent events that only report a change, from one query per process.

One connection listens for new jobs, which every webhook and every manual decision enqueues. A query for the newest ids
then shows whether anything on a page changed. Behind a pooler, which passes no notifications on, the query runs
periodically. It does not run while no page is open.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.pages.rendering import HEADERS
from service.pages.sessions import Session
from service.postgres.database import ERROR_HINTS, Database, error_kind
from service.store.overview import version

CHANNEL = "procrastinate_any_queue_v1"
PING_EVERY = 15.0  # seconds, so that proxies keep a quiet stream open
LOOK_EVERY = 2.0  # seconds between two looks at most
SETTLE = 0.25  # seconds between two looks at least

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Live:
    """Notifies the open pages of this process of changes, at most ``most_streams`` at once; further pages poll."""

    database: Database
    most_streams: int
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _opened: asyncio.Event = field(default_factory=asyncio.Event)
    _notified: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    async def stream(self, request: Request, _: Session) -> Response:
        """Send events to one page until it is closed or the service stops."""
        if self._closed or len(self._waiting) >= self.most_streams:
            return Response(status_code=503, headers={**HEADERS, "Retry-After": "10"})
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        if request.method == "HEAD":  # a stream would never end
            return Response(media_type="text/event-stream", headers=headers)
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def _events(self) -> AsyncIterator[str]:
        changed = asyncio.Event()
        self._waiting.add(changed)
        self._opened.set()
        try:
            yield "retry: 3000\n\n"
            while not self._closed:
                try:
                    await asyncio.wait_for(changed.wait(), PING_EVERY)
                    changed.clear()
                    if not self._closed:
                        yield "event: changed\ndata: 1\n\n"
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._waiting.discard(changed)

    async def run(self) -> None:
        """Look for changes while pages are open; cancelled at a stop, which ends the streams at once."""
        listening: asyncio.Task[None] | None = None
        seen: tuple[Any, ...] | None = None
        try:
            while True:
                if not self._waiting:
                    seen = None
                    self._opened.clear()
                    await _ended(listening)
                    listening = None
                    await self._opened.wait()
                if listening is None or listening.done():
                    listening = asyncio.create_task(self._listen())
                seen = await self._look(seen)
                self._notified.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._notified.wait(), LOOK_EVERY)
                await asyncio.sleep(SETTLE)
        finally:
            self._closed = True
            self._notify()
            await _ended(listening)

    async def _look(self, seen: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        try:
            async with self.database.single() as connection:
                found = await version(connection)
        except Exception as error:
            if error_kind(error) not in ERROR_HINTS:
                log.exception("live.crashed")
            return seen
        if seen is not None and found != seen:
            self._notify()
        return found

    def _notify(self) -> None:
        for changed in self._waiting:
            changed.set()

    async def _listen(self) -> None:
        """Note each notification. Return if the pooler passes none on, or the connection drops."""
        with suppress(Exception):
            async with await self.database.connections.connect() as connection:
                if connection.is_pooled:
                    await asyncio.Event().wait()  # by time alone, see above
                await connection.set_autocommit(True)
                await connection.execute(f'LISTEN "{CHANNEL}"'.encode())
                async for _ in connection.notifies():
                    self._notified.set()


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()
        # Awaiting the task itself would also catch the cancellation of the caller.
        await asyncio.wait([task])
