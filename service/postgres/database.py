"""The database: an async engine with its error handler."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.postgres.connection import Connection, Connections
from service.postgres.requirements import WEB
from service.postgres.session import RESTORE_LOCALLY

ERROR_HINTS = {
    "disk_full": "the database's disk is full: nothing is stored until there is room",
    "read_only": "the database takes no writes: a standby, or default_transaction_read_only",
    "forbidden": "the database refuses what the service does: grant the role the right that the error names",
    "unreachable": "the database can't be reached, or was restarted: it is tried again",
}
FAILURE_LASTS = 60.0  # seconds that a failed write counts for readiness, and between two log lines
IDLE = 1.0  # seconds; a connection idle for longer is checked before its next use

T = TypeVar("T")

# Replaces the database's clock in tests.
Clock = Callable[[], datetime]

log = structlog.get_logger(__name__)


class Database:
    """Connections to one PostgreSQL. They are opened when needed, and lost ones are replaced.

    ``on_error`` is called with the kind of each error: one of ``ERROR_HINTS``, or ``other``.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = WEB.engine,
        connections: Connections | None = None,
        on_error: Callable[[str], None] = lambda _: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.connections = connections or Connections(url)
        self._on_error = on_error
        self._timer = timer
        self._last: dict[str, float] = {}
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=self.connections.connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        sa.event.listen(self.engine.sync_engine, "begin", _restore_session)
        sa.event.listen(self.engine.sync_engine, "handle_error", self._note)
        sa.event.listen(self.engine.sync_engine, "checkin", _note_use)
        sa.event.listen(self.engine.sync_engine, "checkout", self._check_idle)

    def _note(self, context: sa.engine.ExceptionContext) -> None:
        kind = error_kind(context.original_exception)
        self._on_error(kind)
        now, before = self._timer(), self._last.get(kind, float("-inf"))
        if kind in ERROR_HINTS and now - before >= FAILURE_LASTS:
            event = f"database.{kind}"
            log.error(event, hint=ERROR_HINTS[kind], error=str(context.original_exception))
            self._last[kind] = now

    def _check_idle(self, connection: Any, record: sa.pool.ConnectionPoolEntry, _: Any) -> None:
        """Replace a connection that died while it was idle."""
        # SQLAlchemy's own check (`pool_pre_ping`) takes a round trip at each use.
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < IDLE:
            return
        try:
            self.engine.dialect.do_ping(connection)
        except Exception as error:
            raise sa.exc.DisconnectionError from error

    def write_failure(self) -> str | None:
        """Return why a write failed within the last minute although the database answers, None if none did."""
        recent = (
            ERROR_HINTS[kind]
            for kind in ("disk_full", "read_only", "forbidden")
            if self._timer() - self._last.get(kind, float("-inf")) < FAILURE_LASTS
        )
        return next(recent, None)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction. Commit at the end of the block, roll back after an error."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection whose statements are transactions of their own, without BEGIN and COMMIT."""
        async with self._autocommit.connect() as connection:
            yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for reading, in one transaction."""
        async with self.engine.connect() as connection:
            yield connection
            # Not a rollback: psycopg then forgets all prepared statements.
            await connection.commit()

    async def takes_writes(self) -> bool:
        """Return False for a standby or a read-only database. Raise SQLAlchemy's errors if it does not answer."""
        async with self.connect() as connection:
            setting: str = await connection.scalar(sa.text("SELECT current_setting('transaction_read_only')"))
        return setting == "off"

    async def schema(self) -> "Schema":
        """Return the state of the schema. Raise SQLAlchemy's errors if the database does not answer."""
        async with self.connect() as connection:
            there = await connection.execute(
                sa.text("SELECT to_regclass('alembic_version'), to_regclass('schema_heads')")
            )
            migrated, heads = there.one()
            if migrated is None:
                return Schema(None, frozenset())
            revision = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            known = await connection.scalars(sa.text("SELECT head FROM schema_heads")) if heads else ()
            return Schema(revision, frozenset(known))

    async def close(self) -> None:
        await self.engine.dispose()


def _note_use(_: Any, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _restore_session(connection: sa.Connection) -> None:
    """Set the session's settings again. Behind a pooler each transaction may run in another client's session."""
    own = connection.connection.driver_connection
    if isinstance(own, Connection) and own.is_pooled and not own.autocommit:
        connection.exec_driver_sql(RESTORE_LOCALLY)


@dataclass(frozen=True, slots=True)
class Schema:
    """The database's revision, and the heads of the service's versions that work with it."""

    revision: str | None
    heads: frozenset[str]

    def works_for(self, head: str) -> bool:
        """Return True if a service that needs ``head`` can use the schema: its own, or a later compatible one."""
        return head in self.heads


def error_kind(error: BaseException | None) -> str:
    """Return the kind of a database error, even if it is wrapped: a key of ``ERROR_HINTS``, or ``other``."""
    while error and not isinstance(error, psycopg.Error | sa.exc.TimeoutError):
        error = error.__cause__
    if isinstance(error, sa.exc.TimeoutError):  # every connection of the pool waits for an answer
        return "unreachable"
    if isinstance(error, psycopg.errors.DiskFull):
        return "disk_full"
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return "read_only"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "forbidden"
    state = getattr(error, "sqlstate", None) or ""
    gone = isinstance(error, psycopg.OperationalError) and (not state or state[:2] in {"08", "53", "57"})
    return "unreachable" if gone else "other"


async def within(seconds: float, asking: Coroutine[Any, Any, T]) -> T:
    """Return the result of a query, or raise TimeoutError after ``seconds``.

    The query is cancelled without waiting for that: a frozen server does not answer a cancellation either, and
    psycopg waits ten seconds for it.
    """
    task = asyncio.create_task(asking)
    task.add_done_callback(
        lambda ended: ended.cancelled() or ended.exception()
    )  # retrieve the exception, or asyncio logs it
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


async def time_of(connection: AsyncConnection, clock: Clock | None) -> datetime:
    """Return the database's time, or that of a test's clock."""
    return clock() if clock else await database_now(connection)


async def database_now(connection: AsyncConnection) -> datetime:
    """Return the database's time, which all replicas share."""
    found: datetime = await connection.scalar(sa.text("SELECT clock_timestamp()"))
    return found
