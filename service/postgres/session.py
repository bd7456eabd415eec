"""The requirements of a session: settings, encoding, version."""

from psycopg import ConnectionInfo, OperationalError

from service.errors import DatabaseError
from service.postgres.parameters import DIRECT, SESSION

MIN_VERSION = 15  # major version; older ones are not tested

MARKED = f"SELECT current_setting('{DIRECT}', true)"

# PgBouncer keeps the first three for each client. The others last at least until the transaction ends.
RESTORE = "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION.items())
RESTORE_LOCALLY = RESTORE.replace("false)", "true)")
# The server reports these with each connection, so that reading them needs no query.
REPORTED = {"DateStyle": "ISO", "IntervalStyle": "postgres", "TimeZone": "UTC"}


def is_restored(info: ConnectionInfo) -> bool:
    """Return True if the session has the formats that psycopg reads.

    ``PGTZ`` and ``PGDATESTYLE`` in the environment override our startup options.
    """
    return all((info.parameter_status(name) or value).startswith(value) for name, value in REPORTED.items())


def refuses_options(error: OperationalError) -> bool:
    """Return True if a pooler rejected the startup parameter ``options``, as PgBouncer does by default."""
    return "unsupported startup parameter" in str(error)


def refuse_dropped_options(own: str) -> None:
    """Raise DatabaseError if a pooler drops ``options`` that the database URL sets."""
    if own:
        raise DatabaseError(
            "A connection pooler such as PgBouncer drops the `options` of AUTOREVIEW_DATABASE_URL: remove them, and "
            "set what they set for the role, such as `ALTER ROLE name SET search_path = review`."
        )


def refuse_unusable(info: ConnectionInfo) -> None:
    """Raise DatabaseError, naming what to change, if the service can't use this database."""
    version = info.server_version // 10_000
    if version < MIN_VERSION:
        raise DatabaseError(f"The database is PostgreSQL {version}: autoreview needs {MIN_VERSION} or later.")
    encoding = info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        raise DatabaseError(
            f"The database {info.dbname} has the encoding {encoding}, which can't store every text: create one "
            "with `CREATE DATABASE autoreview ENCODING 'UTF8' TEMPLATE template0`."
        )
