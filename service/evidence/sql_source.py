"""``from: sql``: one query for each submission in the researcher's database, which is only read."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from service.errors import ConfigurationError
from service.evidence.asked import LONGEST_WAIT, Answered, Asked, Failed, NotYet, Outcome, shortened
from service.evidence.threads import in_thread

CONNECT = 5  # seconds
STATEMENT = (
    8.0  # seconds; below LONGEST_WAIT, so that the database ends it with an error that names the cause
)
STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock
READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {ms}",
    "mysql": "SET SESSION MAX_EXECUTION_TIME = {ms}; START TRANSACTION READ ONLY",
    "mariadb": "SET SESSION max_statement_time = {seconds}; START TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
CREDENTIALS = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class SqlSource:
    """Runs ``query`` with the submission's ids as bound parameters; ``url`` reads the address of the database.

    ``statement_timeout`` is in seconds.
    """

    name: str
    query: str
    url: Callable[[], str | None]
    statement_timeout: float = STATEMENT

    async def fetch(self, asked: Asked) -> Outcome:
        """Ask the database in a thread, since most drivers block."""
        try:
            url = self.url()
        except ConfigurationError as error:
            return Failed(str(error))
        if not url:
            return Failed(f"AUTOREVIEW_SOURCE_{self.name.upper()} is not set: the URL of the database")
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                return await in_thread(lambda: self._ask(url, asked), name=f"evidence {self.name}")
        except TimeoutError:
            return Failed(f"the database did not answer within {LONGEST_WAIT:.0f} s")
        except Exception as error:  # drivers raise what they like
            return Failed(_reason(error, url))

    def _ask(self, url: str, asked: Asked) -> Outcome:
        statement = sa.text(self.query)
        ids = {
            "submission_id": asked.submission_id,
            "participant_id": asked.participant_id,
            "study_id": asked.study_id,
        }
        wanted = {name: ids[name] for name in statement.compile().params}
        engine = _engine(url, self.statement_timeout)
        try:
            # Nothing is committed: what is left at the end is rolled back.
            with engine.connect() as connection:
                for command in _read_only(engine.dialect.name, self.statement_timeout):
                    connection.exec_driver_sql(command)
                rows = connection.execute(statement, wanted).mappings().fetchmany(2)
                found = [dict(row) for row in rows]
        finally:
            engine.dispose()
        if not found:
            return NotYet("the query finds no row of the submission yet")
        # No order is declared, so that the first of several rows may be another one each time.
        if len(found) > 1:
            return Failed("the query finds more than one row of the submission: it must find one")
        return Answered({name: _plain(value) for name, value in found[0].items()})


def _read_only(dialect: str, timeout: float) -> list[str]:
    """Return the statements that make a session read only and end what takes longer than ``timeout`` seconds."""
    text = READ_ONLY.get(dialect, "").format(ms=int(timeout * 1000), seconds=timeout)
    return text.split("; ") if text else []


def _engine(url: str, timeout: float) -> sa.Engine:
    """Return an engine of which each connection is new: a secret may have changed since."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, timeout)
    # Without a driver, SQLAlchemy would load psycopg2, which is not installed. Hosting services write
    # postgres://.
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    is_timed = parsed.get_backend_name() in ("postgresql", "mysql", "mariadb")
    arguments: dict[str, Any] = {"connect_timeout": CONNECT} if is_timed else {}
    return sa.create_engine(parsed, poolclass=NullPool, connect_args=arguments)


def _sqlite(url: sa.URL, timeout: float) -> sa.Engine:
    """Open a file that is there, for reading only: SQLite would make one that is not."""
    import sqlite3

    path = url.database or ""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no SQLite file {path}")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=CONNECT)
        until = time.monotonic() + timeout
        connection.set_progress_handler(lambda: int(time.monotonic() > until), STEPS)
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _plain(value: object) -> object:
    """Return a column's value as JSON would have it."""
    # Drivers return numeric columns, and counts of some databases, as Decimal.
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date | time_of_day):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _reason(error: Exception, url: str) -> str:
    """Return what failed, without the address, which may contain a password."""
    if isinstance(error, ModuleNotFoundError):
        return f"the driver of the database is not installed: {error.name}"
    if isinstance(error, ArgumentError | NoSuchModuleError):
        return "its URL is none that SQLAlchemy knows: dialect+driver://user:password@host/database"
    cause = getattr(error, "orig", None) or error
    text = CREDENTIALS.sub("//", str(cause))
    password = _password(url)
    text = text.replace(password, "…") if password else text
    kind = "the query failed" if isinstance(error, SQLAlchemyError) else "the database can't be asked"
    return f"{kind}: {shortened(text)}"


def _password(url: str) -> str | None:
    try:
        password = sa.make_url(url).password
    except ArgumentError:
        return url
    return str(password) if password else None
