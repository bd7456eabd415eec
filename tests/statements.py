"""The SQL that a PostgreSQL server executes, read from its own log: the statements of every client."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

# ``%x`` is the transaction's id, 0 until the transaction writes.
PREFIX = "%p %x "
ENTRY = re.compile(r"^(\d+) (\d+) LOG:  (?:statement|execute [^:]*): ?(.*(?:\n\t.*)*)", re.MULTILINE)
NOT_LOGGED = "-c log_statement=none"  # connection option for a test's own queries
# A connection check by SQLAlchemy (";") or by psycopg's pool (""), and psycopg's reset of its statements.
CHECKS = ("", ";", "DEALLOCATE ALL")
ENDS = ("COMMIT", "ROLLBACK")


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction, or one statement outside of any. BEGIN, COMMIT and checks are not in ``statements``."""

    statements: tuple[str, ...]
    writes: bool

    def contains(self, text: str) -> bool:
        return any(text in statement for statement in self.statements)


@dataclass(frozen=True, slots=True)
class Executed:
    """What the server executed. ``messages`` counts everything: BEGIN, COMMIT and connection checks too."""

    messages: int
    transactions: tuple[Transaction, ...]

    @property
    def statements(self) -> int:
        return sum(len(transaction.statements) for transaction in self.transactions)

    @property
    def writing(self) -> int:
        return sum(transaction.writes for transaction in self.transactions)


class ServerLog:
    """The log of a server whose ``log_statement`` is on for some database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = 0

    def restart(self) -> None:
        """Forget what was logged so far."""
        self._start = self._path.stat().st_size

    def read(self) -> Executed:
        """Return what was executed since the last ``restart``."""
        with self._path.open("rb") as file:
            file.seek(self._start)
            entries = ENTRY.findall(file.read().decode(errors="replace"))
        return Executed(len(entries), tuple(_transactions(entries)))


@contextmanager
def logged(url: str, database: str, log: Path) -> Iterator[ServerLog]:
    """Log the statements of the connections that are opened to the database inside the block."""
    set_logging = sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(sql.Identifier(database))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(set_logging)
        connection.execute(sql.SQL("ALTER SYSTEM SET log_line_prefix = {}").format(PREFIX))
        _reload(connection, PREFIX)
        try:
            yield ServerLog(log)
        finally:
            connection.execute("ALTER SYSTEM RESET log_line_prefix")
            connection.execute("SELECT pg_reload_conf()")


def _reload(connection: psycopg.Connection, prefix: str) -> None:
    """The reload is asynchronous: wait until this session has it."""
    connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 30
    while connection.execute("SHOW log_line_prefix").fetchone() != (prefix,):
        assert time.monotonic() < deadline, "the server does not reload its configuration"
        time.sleep(0.01)


def _transactions(entries: list[tuple[str, str, str]]) -> Iterator[Transaction]:
    """Group the entries of each server process; transactions come in the order of their ends."""
    under_way: dict[str, list[str]] = {}
    for pid, xid, entry in entries:
        text = " ".join(entry.split())
        if text in CHECKS:
            continue
        if text.startswith("BEGIN"):
            under_way[pid] = []
        elif text in ENDS:
            yield Transaction(tuple(under_way.pop(pid, ())), writes=text == "COMMIT" and xid != "0")
        elif pid in under_way:
            under_way[pid].append(text)
        else:
            # Autocommit: the entry is written before an id is assigned. Procrastinate's functions write.
            yield Transaction((text,), writes=not text.startswith("SELECT") or "procrastinate_" in text)
