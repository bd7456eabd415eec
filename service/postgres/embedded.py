"""The embedded PostgreSQL: a database for a machine that has none.

In the data folder::

    lock           held by the only service that uses the folder; contains its process id
    postgres/      the server's own folder: data, password
    postgres.log   the server's log
    postgres.url   the server's URL, while it runs
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from service.errors import DatabaseError, DataDirInUse
from service.postgres.embedded_home import find_home, make_data_dir, server_folder
from service.postgres.embedded_server import await_old_server, running_server
from service.postgres.owned import open_own, read_own
from service.postgres.parameters import ignore_shell_variables

FOLDER_LOCK_TIMEOUT = 0.3  # seconds; ``running_url`` holds the lock for an instant


@contextmanager
def embedded_postgres(data_dir: Path, *, create: bool = True) -> Iterator[str]:
    """Run PostgreSQL as a child process with its data below ``data_dir``. Yield its URL.

    Without ``create``, only an existing database is started.

    Enter it from the main thread: on Linux the server stops when the thread that started it ends, so that it does
    not outlive a killed service.

    Raises
    ------
    ConfigurationError
        PostgreSQL's binaries aren't installed.
    DataDirInUse
        Another service runs on this folder.
    DatabaseError
        The folder can't be used, or the server doesn't start.
    """
    ignore_shell_variables()
    with ExitStack() as stack:
        with _explained(data_dir):
            data_dir = make_data_dir(data_dir)
            stack.enter_context(_locked(data_dir / "lock"))
            (data_dir / "postgres.url").unlink(missing_ok=True)  # left by a killed service
            url = stack.enter_context(
                running_server(find_home(data_dir), data_dir / "postgres.log", create=create)
            )
            stack.enter_context(_announced(data_dir / "postgres.url", url))
        yield url


def running_url(data_dir: Path) -> str | None:
    """Return the URL of the server that a running service has on this folder, None without one."""
    try:
        if not _is_held(data_dir / "lock"):
            return None
        url = read_own(data_dir / "postgres.url")
    except (OSError, DatabaseError):  # no service yet, one that is starting, or another user's
        return None
    ignore_shell_variables()
    return url


def delete_database(data_dir: Path) -> None:
    """Delete the server's folder, even if it lies outside of ``data_dir``."""
    data_dir = data_dir.resolve()
    own = data_dir / "postgres"
    if not own.is_dir():
        return
    with _explained(data_dir), _locked(data_dir / "lock"):
        folder = server_folder(own)
        await_old_server(folder / "data")
        shutil.rmtree(folder)
        own.unlink(missing_ok=True)


@contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"The data folder {data_dir} can't be used: {error.strerror} ({error.filename or data_dir}). Make it "
            "writable with space on its disk, or set AUTOREVIEW_DATA_DIR or AUTOREVIEW_DATABASE_URL."
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock. The kernel releases it when the process ends, however it ends."""
    with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT), "r+") as file:
        if not _taken(file.fileno()):
            pid = file.read().strip() or "unknown"
            raise DataDirInUse(
                f"Another autoreview (process {pid}) uses the data folder {path.parent}. Stop it, or give this one "
                "its own folder with AUTOREVIEW_DATA_DIR or its own database with AUTOREVIEW_DATABASE_URL."
            )
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _taken(handle: int) -> bool:
    deadline = time.monotonic() + FOLDER_LOCK_TIMEOUT
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)


def _is_held(path: Path) -> bool:
    with os.fdopen(open_own(path, os.O_RDONLY)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def _announced(path: Path, url: str) -> Iterator[None]:
    unfinished = path.with_suffix(".url.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(url)
    unfinished.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
