"""Connections to PostgreSQL: opened with the same arguments everywhere, dropped when the server stops answering."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from traceback import clear_frames
from typing import Any, Self, TypeVar
from weakref import WeakSet

import psycopg
import structlog
from psycopg import Notify
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from service.postgres.parameters import conninfo_for, own_options
from service.postgres.session import (
    MARKED,
    RESTORE,
    is_restored,
    refuse_dropped_options,
    refuse_unusable,
    refuses_options,
)

ANSWER_TIMEOUT = 8.0  # seconds
CHECK_EVERY = 1.0  # seconds
INTERVAL = 0.1  # seconds between checks for an interruption; psycopg's default

RV = TypeVar("RV")

log = structlog.get_logger(__name__)


class Connections:
    """Opens a process's connections to one database, and keeps track of the open ones."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open = WeakSet[Connection]()
        self._is_over = False

    async def connect(self) -> "Connection":
        """Open a connection. Raise DatabaseError if the service can't use this database."""
        return await Connection.connect(connections=self)

    def add(self, connection: "Connection") -> None:
        """Watch the connection."""
        self._open.add(connection)

    def check_open(self) -> None:
        """Raise OperationalError if the process is stopping."""
        if self._is_over:
            raise psycopg.OperationalError("the service is stopping")

    def longest_wait(self) -> float:
        """Return for how many seconds the longest statement waits for its answer."""
        return max((each.waits_for for each in list(self._open)), default=0.0)

    def drop_all(self) -> None:
        """Make every statement in progress fail now, and every attempt to connect from now on."""
        self._is_over = True
        for connection in list(self._open):
            connection.drop()

    async def watch(self, after: float = ANSWER_TIMEOUT) -> None:
        """Drop connections that get no answer for ``after`` seconds, until cancelled."""
        # TCP keepalives detect a host that is gone, but not a frozen server or proxy on a host that is up. A statement
        # may take longer, so another connection asks the server whether it works on it.
        while True:
            await asyncio.sleep(CHECK_EVERY)
            if self.longest_wait() >= after:
                await self._drop_silent(after)

    async def _drop_silent(self, after: float) -> None:
        busy = await self._busy(after)
        # Statements that began a little later would fail for the same reason, one after the other.
        waiting = [each for each in list(self._open) if each.waits_for >= after / 2]
        silent = [each for each in waiting if each.pgconn.backend_pid not in busy]
        if not silent:
            return
        idle = [each for each in list(self._open) if not each.waits_for]
        for connection in (*silent, *idle):
            connection.drop()
        log.warning("database.silent", silent=len(silent), idle=len(idle), hint="connections are replaced")

    async def _busy(self, answer_within: float) -> set[int]:
        """Return the server processes that work on a statement, none if the server does not answer."""
        try:
            async with asyncio.timeout(answer_within), await self.connect() as connection:
                if connection.is_pooled:  # process ids are the pooler's, which watches its servers itself
                    return {each.pgconn.backend_pid for each in list(self._open)}
                rows = await connection.execute("SELECT pid FROM pg_stat_activity WHERE state = 'active'")
                return {pid for (pid,) in await rows.fetchall()}
        except (psycopg.Error, TimeoutError):
            return set()


class Connection(psycopg.AsyncConnection[TupleRow]):
    """A connection with this service's session settings, to a database that it can use."""

    is_pooled = False  # True behind a pooler such as PgBouncer: other clients share the server's session
    _asked_at: float | None = None
    _listens = False

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:  # noqa: ARG003 - psycopg's signature
        """Open one of the ``connections``. Raise DatabaseError if the service can't use the database."""
        connections: Connections = options.pop("connections")
        connections.check_open()
        try:
            connection = await cls._connect(connections.url, **options)
        except asyncio.CancelledError as error:
            # The half-open socket is freed with psycopg's frames, which SQLAlchemy's greenlets keep until the next
            # garbage collection. Until then the server's process waits for a password, and holds up DROP DATABASE.
            clear_frames(error.__traceback__)
            raise
        try:
            await connection.begin_session(connections.url)
        except BaseException:
            await connection.close()
            raise
        connections.add(connection)
        return connection

    @classmethod
    async def _connect(cls, url: str, **options: Any) -> Self:
        try:
            return await super().connect(conninfo_for(url), **options)
        except psycopg.OperationalError as error:
            if not refuses_options(error):
                raise
        return await super().connect(conninfo_for(url, pooled=True), **options)

    async def begin_session(self, url: str) -> None:
        """Set the session's settings. Raise DatabaseError if the service can't use the database."""
        refuse_unusable(self.info)
        autocommit = self.autocommit
        await self.set_autocommit(True)
        marked = await (await self.execute(MARKED)).fetchone()
        self.is_pooled = marked is None or marked[0] != "on"
        if self.is_pooled:
            refuse_dropped_options(own_options(url))
            self.prepare_threshold = None  # the next statement may run on another server connection
        if self.is_pooled or not is_restored(self.info):
            await self.execute(RESTORE)
        await self.set_autocommit(autocommit)

    @property
    def waits_for(self) -> float:
        """Return for how many seconds the current statement waits for its answer, 0 without one."""
        return time.monotonic() - self._asked_at if self._asked_at else 0.0

    def drop(self) -> None:
        """Shut the socket down, so that the statement in progress, or else the next one, fails at once."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as own:
            own.shutdown(socket.SHUT_RDWR)

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = INTERVAL,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's signature
    ) -> RV:
        """Wait for the server as psycopg does, and record since when."""
        self._asked_at = None if self._listens else time.monotonic()
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            self._asked_at = None

    async def notifies(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's signature
        stop_after: int | None = None,
    ) -> AsyncGenerator[Notify]:
        """Yield notifications. A connection that listens may wait for hours."""
        self._listens = True
        async for notification in super().notifies(timeout=timeout, stop_after=stop_after):
            yield notification


def connect(url: str, *, autocommit: bool = False) -> psycopg.Connection[TupleRow]:
    """Open a connection of the same kind for synchronous code."""
    try:
        connection = psycopg.connect(conninfo_for(url), autocommit=True)
    except psycopg.OperationalError as error:
        if not refuses_options(error):
            raise
        connection = psycopg.connect(conninfo_for(url, pooled=True), autocommit=True)
    try:
        refuse_unusable(connection.info)
        marked = connection.execute(MARKED).fetchone()
        is_pooled = marked is None or marked[0] != "on"
        if is_pooled:
            refuse_dropped_options(own_options(url))
            connection.prepare_threshold = None
        if is_pooled or not is_restored(connection.info):
            connection.execute(RESTORE)
        connection.set_autocommit(autocommit)
    except BaseException:
        connection.close()
        raise
    return connection
