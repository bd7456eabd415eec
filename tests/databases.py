"""Databases of a PostgreSQL server for tests: used again once emptied, because copying one costs 0.2 s of CPU."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from service.postgres.embedded_home import find_home, make_data_dir

TEMPLATE = "migrated"
PATIENCE = 10_000  # milliseconds for sessions to end and for locks
KEPT = ("alembic_version", "schema_heads")  # tables with rows that migrations bring

# Deleting a few rows costs a tenth of the CPU of a TRUNCATE, which makes new files for the table and its indexes. Nothing
# vacuums, so a table that has grown is truncated.
TABLES = """
    SELECT relname, pg_relation_size(oid) > 128 * 1024 FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1
"""
END_SESSIONS = "SELECT bool_and(pg_terminate_backend(pid, %s)) FROM pg_stat_activity WHERE datname = %s"
RESTART_SEQUENCES = """
    SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence
    WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""
# All that a test may change beside rows. OIDs are those of the template, for its files are copied.
SCHEMA = """
    SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
        SELECT concat_ws('|', oid, relname, relacl, relowner, reltablespace, relnatts, reloptions) AS line
            FROM pg_class WHERE oid >= 16384 AND relkind <> 't' AND relnamespace <> 'pg_toast'::regnamespace
        UNION ALL SELECT concat_ws('|', attrelid, attnum, attname, atttypid, attnotnull, attacl)
            FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
        UNION ALL SELECT concat_ws('|', oid, adbin) FROM pg_attrdef
        UNION ALL SELECT concat_ws('|', oid, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat_ws('|', oid, conname, convalidated) FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT concat_ws('|', oid, prosrc, proacl) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat_ws('|', oid, nspname, nspacl) FROM pg_namespace
            WHERE nspname NOT LIKE 'pg\\_%temp\\_%'
        UNION ALL SELECT concat_ws('|', datconnlimit, datacl, datistemplate, setconfig) FROM pg_database
            LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid WHERE datname = current_database()
        UNION ALL SELECT 'alembic ' || version_num FROM alembic_version
        UNION ALL SELECT 'head ' || head FROM schema_heads
    ) AS lines
"""


def named(url: str, database: str) -> str:
    """Return the URL of another database on the server."""
    return f"{url.rpartition('/')[0]}/{database}"


def create(url: str, database: str, *, like: str = "template1") -> None:
    """Create a database as a copy of ``like``."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(database), sql.Identifier(like)))


def copy_server(data_dir: Path, copy: Path) -> None:
    """Give another data folder the same embedded database, as its own. No server runs on the first."""
    home = find_home(make_data_dir(copy))
    subprocess.run(["cp", "-R", "-p", f"{data_dir}/postgres/.", home.folder], check=True)  # keeps the owner


class Databases:
    """The databases of one server, which has ``TEMPLATE``. ``url`` is its maintenance database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._spare: list[str] = []
        with psycopg.connect(named(url, TEMPLATE)) as connection:
            self._schema = connection.execute(SCHEMA).fetchone()

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Yield the URL of a database with this version's schema and no rows."""
        if self._spare:
            name = self._spare.pop()
        else:
            name = f"test_{uuid4().hex}"
            create(self.url, name, like=TEMPLATE)
        yield named(self.url, name)
        with psycopg.connect(self.url, autocommit=True) as server:
            (ended,) = server.execute(END_SESSIONS, [PATIENCE, name]).fetchone() or (None,)
            if ended is not False and self._emptied(name):
                self._spare.append(name)
            else:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _emptied(self, name: str) -> bool:
        """Remove all rows; return False if the test changed something else."""
        try:
            with psycopg.connect(named(self.url, name)) as connection:
                connection.execute(f"SET LOCAL lock_timeout = {PATIENCE}")
                if connection.execute(SCHEMA).fetchone() != self._schema:
                    return False
                connection.execute("SET LOCAL session_replication_role = replica")  # no trigger refuses it
                self._remove_rows(connection)
                connection.execute(RESTART_SEQUENCES)
        except psycopg.Error:  # renamed, or closed to connections
            return False
        return True

    @staticmethod
    def _remove_rows(connection: psycopg.Connection) -> None:
        tables = [row for row in connection.execute(TABLES).fetchall() if row[0] not in KEPT]
        statements = {False: sql.SQL("DELETE FROM {}"), True: sql.SQL("TRUNCATE {} CASCADE")}
        removals = [statements[is_large].format(sql.Identifier(name)) for name, is_large in tables]
        connection.execute(sql.SQL("; ").join(removals))
