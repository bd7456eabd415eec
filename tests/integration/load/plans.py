"""The plans of the statements that a service executes, as PostgreSQL explains them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa

from service.postgres.database import Database

# Those that grow with every submission. What is small by nature may be read whole.
LARGE = {
    "inbox",
    "evidence",
    "submissions",
    "decisions",
    "attempts",
    "answers",
    "reviews",
    "decision_states",
    "procrastinate_jobs",
    "procrastinate_events",
}


@dataclass
class Executed:
    """Statements with their parameters, in the order of execution."""

    statements: dict[str, Any] = field(default_factory=dict)

    def whole_table_reads(self, url: str) -> list[str]:
        """Return ``table: statement`` for each sequential scan of a large table in the plans."""
        found = []
        with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
            for statement, values in self.statements.items():
                row = connection.execute(b"EXPLAIN (FORMAT JSON) " + statement.encode(), values).fetchone()
                assert row
                tables = LARGE & set(_scanned(row[0][0]["Plan"]))
                found += [f"{table}: {' '.join(statement.split())}" for table in sorted(tables)]
        return found


@contextmanager
def noted(database: Database) -> Iterator[Executed]:
    """Note each statement that is executed through the database's engine inside the block."""
    executed = Executed()
    with _listening(database, executed.statements.setdefault):
        yield executed


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Collect each statement that is executed through the database's engine inside the block, in their order."""
    executed: list[str] = []
    with _listening(database, lambda statement, _: executed.append(statement)):
        yield executed


@contextmanager
def _listening(database: Database, note: Callable[[str, Any], object]) -> Iterator[None]:
    def executed(*event: Any) -> None:
        statement, values = event[2:4]
        if statement.lstrip().split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            note(statement, values)

    engine = database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", executed)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", executed)


def _scanned(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for child in plan.get("Plans", ()):
        yield from _scanned(child)
