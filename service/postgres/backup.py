"""Backups of the embedded database: a zip file of what pg_dump writes and of what it is.

The zip has a checksum and its directory at the end. pg_restore itself accepts a dump that was cut short.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from service import __version__
from service.errors import ConfigurationError, DatabaseError
from service.postgres.connection import connect
from service.postgres.embedded import delete_database, embedded_postgres
from service.postgres.embedded_home import environment, make_data_dir, programs
from service.postgres.explanation import explained
from service.postgres.migrate import migrate
from service.postgres.where import forget_workers, has_data

DUMP, ABOUT = "database.dump", "about.json"  # in the zip file
RESTORING = "restoring"  # the folder inside the data folder in which a restore is prepared


class BadBackup(ConfigurationError):
    """The file is not a complete backup."""

    code = "bad_backup"


def back_up(url: str, file: Path) -> dict[str, Any]:
    """Write a consistent copy of the database to a new file, and return what it is.

    The file gets its name only when it is complete.
    """
    if file.exists():
        raise ConfigurationError(f"{file} exists already. Name a new file.")
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as output:
            about = _write(url, output)
            os.fsync(output.fileno())
        unfinished.rename(file)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be written: {error.strerror}.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return about


def _write(url: str, output: IO[bytes]) -> dict[str, Any]:
    with explained(), connect(url) as connection:
        [[revision]] = connection.execute("SELECT version_num FROM alembic_version")
    about = {"version": __version__, "schema": revision, "created_at": datetime.now(UTC).isoformat()}
    with zipfile.ZipFile(output, "w") as archive:
        with archive.open(DUMP, "w", force_zip64=True) as dump:
            _run("pg_dump", "--format=custom", url=url, output=dump)
        archive.writestr(ABOUT, json.dumps(about))
    return about


def check_backup(file: Path) -> dict[str, Any]:
    """Read a whole backup, and return its description. Raise BadBackup if a part is missing or changed."""
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
            about: dict[str, Any] = json.loads(archive.read(ABOUT)) if damaged is None else {}
            archive.getinfo(DUMP)
    except OSError as error:
        raise BadBackup(f"{file} can't be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, KeyError, ValueError):
        about = {}
    if "schema" not in about:
        raise BadBackup(
            f"{file} is no complete backup: it was cut short, changed, or not made by `autoreview backup`."
        )
    return about


def restore(file: Path, data_dir: Path) -> dict[str, Any]:
    """Make a data folder's database from a backup, and return what the backup is. Nothing runs afterwards.

    It is prepared beside its place, so that a service never starts on half of it. An older schema is migrated.

    Raises
    ------
    BadBackup
        The file is not complete, or no backup.
    SchemaMismatch
        A later version made it, and this one does not work on its schema.
    ConfigurationError
        The data folder has a database.
    """
    about = check_backup(file)
    if has_data(data_dir):
        raise ConfigurationError(
            f"The data folder {data_dir.absolute()} has a database already. Stop its service and move the folder "
            "away, or set AUTOREVIEW_DATA_DIR to an empty one."
        )
    data_dir = make_data_dir(data_dir)
    place = data_dir / RESTORING
    _clear(place)
    try:
        with embedded_postgres(place) as url, explained():
            _load(file, url)
            migrate(url)
            forget_workers(url)
        (place / "postgres").rename(data_dir / "postgres")
    finally:
        _clear(place)
    return about


def _load(file: Path, url: str) -> None:
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    with zipfile.ZipFile(file) as archive, archive.open(DUMP) as dump:
        _run("pg_restore", *options, url=url, source=dump)


def _clear(place: Path) -> None:
    """Remove the rest of a restore that did not end. Raise DataDirInUse while another one runs."""
    if place.is_dir():
        delete_database(place)
        shutil.rmtree(place)


def _run(
    program: str, *arguments: str, url: str, source: IO[bytes] | None = None, output: IO[bytes] | None = None
) -> None:
    """Run one of PostgreSQL's programs on the database. Raise DatabaseError with its message."""
    name, password = _connection(url)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own programs
            [str(programs() / program), *arguments, f"--dbname={name}"],
            stdin=subprocess.PIPE if source else subprocess.DEVNULL,
            stdout=subprocess.PIPE if output else subprocess.DEVNULL,
            stderr=errors,
            env={**environment(), **password},
        )
        with process:
            if source and process.stdin:
                with suppress(BrokenPipeError), process.stdin:  # it ended early: its exit status shows why
                    shutil.copyfileobj(source, process.stdin)
            if output and process.stdout:
                shutil.copyfileobj(process.stdout, output)
        errors.seek(0)
        report = errors.read().decode(errors="replace").strip()
    if process.returncode:
        raise DatabaseError(f"{program} failed: {report.partition('error: ')[2] or report}")


def _connection(url: str) -> tuple[str, Mapping[str, str]]:
    """Return the database's URL and, apart from it, the password: other users see a program's arguments."""
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password", ""))
    return make_conninfo("", **parts), {"PGPASSWORD": password}
