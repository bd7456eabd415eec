"""Bringing a database to this version's schema, once, whoever else tries at the same time."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.errors import SchemaMismatch
from service.shipped import shipped
from service.store.database import driver_url

# Any number: all that migrate at once must take the same lock.
LOCK = 7_236_651_093


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision this version of the service was written for."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert revision is not None
    return revision


def advice(found: str | None) -> str:
    """What to do about a schema that this version does not work on."""
    if found is None or found in _known():
        return "Run `autoreview migrate`."
    return "A later version made it: run that one, or use another database."


def migrate(url: str) -> tuple[str | None, str]:
    """Upgrade to this version's head under a lock; the revisions before and after.

    A later version's schema stays as it is. Raises SchemaMismatch where this version does not work on that.
    """
    engine = sa.create_engine(driver_url(url), poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))
            connection.commit()
            before = MigrationContext.configure(connection).get_current_revision()
            if before is not None and before not in _known():
                _refuse_unless_listed(connection, before)
                return before, before
            connection.commit()
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            return before, head()
    finally:
        engine.dispose()


def _known() -> set[str]:
    """The revisions that this version has migrations for."""
    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def _refuse_unless_listed(connection: sa.Connection, found: str) -> None:
    has_heads = connection.scalar(sa.text("SELECT to_regclass('schema_heads') IS NOT NULL"))
    heads = connection.scalars(sa.text("SELECT head FROM schema_heads")).all() if has_heads else []
    if head() not in heads:
        raise SchemaMismatch(f"The schema is {found}, this version needs {head()}. {advice(found)}")
