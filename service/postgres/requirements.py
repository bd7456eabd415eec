"""What a service needs of its database: connections, and rights on each table. Checked at the start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
import structlog
from psycopg.rows import TupleRow

from service.errors import DatabaseError
from service.postgres.connection import connect
from service.postgres.explanation import explanation_of

RESERVED = 1  # connection, for commands and for the check of silent connections

# The smallest limit of the server, the database and the role; -1 is no limit. A superuser has only the first.
_LIMITS = """
    SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        CASE WHEN rolsuper OR rolconnlimit < 0 THEN NULL ELSE rolconnlimit END,
        CASE WHEN rolsuper OR datconnlimit < 0 THEN NULL ELSE datconnlimit END
    ), (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()), rolname
    FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""
_MISSING_RIGHTS = """
    SELECT "table", "right"
    FROM unnest(%(tables)s::text[], %(rights)s::text[]) AS needed ("table", "right")
    WHERE NOT has_table_privilege(to_regclass("table"), "right")
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """The number of connections that a process opens: for SQLAlchemy's engine, and for jobs (LISTEN takes one more)."""

    engine: int
    jobs: int

    @property
    def total(self) -> int:
        return self.engine + (self.jobs + 1 if self.jobs else 0)

    def shrunk(self, total: int) -> "Budget":
        """Return a budget of ``total`` connections in the same proportion."""
        if total >= self.total:
            return self
        if not self.jobs:
            return Budget(total, 0)
        jobs = max(1, (total - 1) * self.jobs // (self.engine + self.jobs))
        return Budget(total - 1 - jobs, jobs)


WEB = Budget(engine=8, jobs=0)
WORKER = Budget(engine=8, jobs=6)
LEAST_WEB = Budget(engine=2, jobs=0)
LEAST_WORKER = Budget(engine=2, jobs=1)

log = structlog.get_logger(__name__)


def check_requirements(url: str, rights: Mapping[str, Sequence[str]], *, worker: bool) -> Budget:
    """Return how many connections this process may open.

    Raise DatabaseError if the role can't use the database. An unreachable database is not an error, because it may
    start later than the service.
    """
    full = WORKER if worker else WEB
    try:
        with connect(url, autocommit=True) as connection:
            _refuse_missing_rights(connection, rights)
            if connection.prepare_threshold is None:
                return full  # a pooler shares the server's connections out
            return _affordable(connection, full, LEAST_WORKER if worker else LEAST_WEB)
    except psycopg.OperationalError as error:
        log.warning("database.unreachable", error=str(error), hint="the service waits for it")
        return full
    except psycopg.Error as error:
        raise explanation_of(error) from None


def _affordable(connection: psycopg.Connection[TupleRow], full: Budget, least: Budget) -> Budget:
    row = connection.execute(_LIMITS).fetchone()
    assert row
    allowed, used, role = row
    if allowed < least.total:
        raise DatabaseError(
            f"The database allows the role {role} {allowed} connections, and this process needs at least "
            f"{least.total}: raise the limit, such as `ALTER ROLE {role} CONNECTION LIMIT {full.total + RESERVED}`."
        )
    budget = full.shrunk(max(least.total, allowed - used - RESERVED))
    if budget != full:
        log.warning(
            "database.few_connections", allowed=allowed, used=used, taken=budget.total, wanted=full.total
        )
    return budget


def _refuse_missing_rights(
    connection: psycopg.Connection[TupleRow], rights: Mapping[str, Sequence[str]]
) -> None:
    """Raise DatabaseError if rights on existing tables are missing. `autoreview migrate` creates missing tables."""
    pairs = [(table, right) for table, each in rights.items() for right in each]
    needed = {"tables": [table for table, _ in pairs], "rights": [right for _, right in pairs]}
    missing = connection.execute(_MISSING_RIGHTS, needed).fetchall()
    if missing:
        role = connection.info.user
        grants = "; ".join(f"GRANT {right} ON {table} TO {role}" for table, right in missing[:3])
        more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
        raise DatabaseError(
            f"The role {role} lacks rights in the database: {grants}{more}, or use the role that ran "
            "`autoreview migrate`."
        )
