"""Migrate a database to this version's schema, once even if several processes try at the same time."""

from functools import cache

import psycopg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.errors import DatabaseError, SchemaMismatch
from service.postgres.connection import connect
from service.postgres.explanation import explained
from service.shipped import shipped

# Any number: all processes that migrate must take the same lock.
LOCK = 7_236_651_093
LOCK_TIMEOUT = 60  # seconds, for this lock and for each lock that a migration takes

_HOLDER = sa.text("""
    SELECT format('process %s of %s from %s since %s', pid, usename, coalesce(client_addr::text, 'a local socket'),
                  coalesce(xact_start, state_change))
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid::bigint = :high AND objid::bigint = :low
""")
_SCHEMA = sa.text("""
    SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE'),
           to_regclass('procrastinate_jobs') IS NOT NULL OR to_regtype('procrastinate_job_status') IS NOT NULL
""")

log = structlog.get_logger(__name__)


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache  # reads every migration
def head() -> str:
    """Return the revision that this version of the service needs."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert revision is not None
    return revision


def schema_advice(found: str | None) -> str:
    """Return what to do about a schema that this version can't use."""
    if found is None or found in _known():
        return "Run `autoreview migrate`."
    return "A later version created it: run that version, or use another database."


def sync_engine(url: str) -> sa.Engine:
    """Return an engine for Alembic with the service's connections."""
    return sa.create_engine("postgresql+psycopg://", creator=lambda: connect(url), poolclass=sa.pool.NullPool)


def migrate(url: str, *, lock_timeout: int = LOCK_TIMEOUT) -> tuple[str | None, str]:
    """Upgrade to this version's head in one transaction under a lock. Return the revisions before and after.

    A later version's schema stays unchanged. Raise SchemaMismatch if this version can't use it, and DatabaseError
    if the lock or a right is missing.
    """
    engine = sync_engine(url)
    try:
        with explained(), engine.begin() as connection:
            _lock(connection, lock_timeout)
            before = MigrationContext.configure(connection).get_current_revision()
            if before is not None and before not in _known():
                _refuse_unless_listed(connection, before)
                return before, before
            if before != head():
                _refuse_foreign_schema(connection, before)
                log.info("database.migrating", before=before, to=head())
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return before, head()
    finally:
        engine.dispose()


def _lock(connection: sa.Connection, lock_timeout: int) -> None:
    """Take the lock until the transaction ends. Behind a pooler a session's lock would outlive its client."""
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{lock_timeout}s'"))
    if connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK))):
        return
    holder = (
        connection.scalar(_HOLDER, {"high": LOCK >> 32, "low": LOCK & 0xFFFFFFFF}) or "a session that ended"
    )
    log.warning("migrate.waits", holder=holder, hint="another migration is at work", at_most_s=lock_timeout)
    try:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    except sa.exc.OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        raise DatabaseError(
            f"Another migration has been at work for more than {lock_timeout} s: {holder}. Wait for it, or end that session."
        ) from None


def _refuse_foreign_schema(connection: sa.Connection, before: str | None) -> None:
    schema, may_create, has_jobs = connection.execute(_SCHEMA).one()
    if schema is None:
        raise DatabaseError("No schema of the search_path exists: create one, or set another search_path.")
    if not may_create:
        raise DatabaseError(
            f"The role {connection.scalar(sa.text('SELECT current_user'))} may not create tables in the schema "
            f"{schema}: `GRANT CREATE ON SCHEMA {schema}` to it, or give it a schema of its own and end the URL in "
            "`?options=-csearch_path%3Dthat_schema`."
        )
    if before is None and has_jobs:
        raise DatabaseError(
            f"The schema {schema} has the job tables or types of another program that uses Procrastinate: give "
            "autoreview a database or a schema of its own (`?options=-csearch_path%3Dthat_schema`)."
        )


def _known() -> set[str]:
    """Return the revisions that this version has migrations for."""
    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def _refuse_unless_listed(connection: sa.Connection, found: str) -> None:
    has_heads = connection.scalar(sa.text("SELECT to_regclass('schema_heads') IS NOT NULL"))
    heads = connection.scalars(sa.text("SELECT head FROM schema_heads")).all() if has_heads else []
    if head() not in heads:
        raise SchemaMismatch(f"The schema is {found}, this version needs {head()}. {schema_advice(found)}")
