"""One PostgreSQL server as a child process: create its data, start it, wait until it is ready, stop it."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg

from service.errors import DatabaseError
from service.postgres.connection import connect
from service.postgres.embedded_home import Home, environment
from service.postgres.embedded_keeper import kept
from service.postgres.owned import open_own, read_own

NAME = "autoreview"  # of the database and of its owner
START_TIMEOUT = 120.0  # seconds; recovery after a crash reads up to 1 GB
STOP_TIMEOUT = 6.0  # seconds for each signal; after SIGQUIT PostgreSQL kills its processes within 5 s
OLD_SERVER_TIMEOUT = 15.0  # seconds
POLL = 0.01  # seconds
PORT_TRIES = 5
LOG_LIMIT = 5_000_000  # bytes
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


@contextmanager
def running_server(home: Home, log: Path, *, create: bool = True) -> Iterator[str]:
    """Run the server and yield its URL. On Linux it ends with the thread that starts it, even after kill -9."""
    await_old_server(home.data)
    for unfinished in home.folder.glob("data.new-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if not home.data.is_dir():
        if not create:
            raise DatabaseError(f"There is no database in {home.folder}: its creation was interrupted.")
        _create_data(home)
    _shorten(log)
    password = read_own(home.password_file, home.uid)
    with _started(home, password, log) as port:
        yield _url(password, port, NAME)


def _shorten(log: Path) -> None:
    with os.fdopen(open_own(log, os.O_WRONLY | os.O_CREAT), "wb") as file:
        if os.fstat(file.fileno()).st_size > LOG_LIMIT:
            file.truncate(0)


def _url(password: str, port: int, database: str) -> str:
    return f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{database}"


def _create_data(home: Home) -> None:
    """Create the data in a folder beside it, and rename that when all is on disk, so that it is never incomplete."""
    _write_password(home)
    unfinished = home.folder / f"data.new-{secrets.token_hex(4)}"
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    access = ("--auth=scram-sha-256", f"--username={NAME}", f"--pwfile={home.password_file}")
    initdb = home.run("initdb", f"--pgdata={unfinished}", "--no-instructions", *locale, *access)
    if initdb.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise DatabaseError(
            f"PostgreSQL could not create its database in {home.folder}.{_why(home, initdb.stderr)}"
        )
    unfinished.rename(home.data)
    _sync_folder(home.folder)


def _write_password(home: Home) -> None:
    home.password_file.unlink(missing_ok=True)
    with os.fdopen(os.open(home.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        os.fchown(file.fileno(), home.uid, home.gid)
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _started(home: Home, password: str, log: Path) -> Iterator[int]:
    for _ in range(PORT_TRIES):
        port = _free_port()
        begin = log.stat().st_size if log.exists() else 0
        server = _launch(home, port, log)
        try:
            is_ready = _ready(server, _url(password, port, "postgres"))
        except BaseException:
            _stop(server)
            raise
        if is_ready:
            with kept(server, partial(_launch, home, port, log), _stop):
                yield port
            return
        _stop(server)
        output = log.read_bytes()[begin:].decode(errors="replace")
        if "could not create any TCP/IP sockets" not in output:  # else another process took the port first
            break
    raise DatabaseError(f"PostgreSQL did not start on {home.data}.{_why(home, output)}\nIts log: {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _launch(home: Home, port: int, log: Path) -> subprocess.Popen[bytes]:
    settings = SETTINGS | {"port": str(port)} | _shared_memory()
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with os.fdopen(open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own programs
            home.command("postgres", "-D", str(home.data), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,  # Ctrl-C in the terminal reaches only the service, which stops the server last
        )


def _shared_memory() -> dict[str, str]:
    """Return the setting for a Linux without a /dev/shm that everybody may write, else none."""
    folder = Path("/dev/shm")  # noqa: S108 - nothing is written to it here
    if sys.platform != "linux" or (folder.is_dir() and folder.stat().st_mode & 0o002):
        return {}
    return {"dynamic_shared_memory_type": "mmap"}


def _ready(server: subprocess.Popen[bytes], url: str) -> bool:
    """Return True when the server answers and has our database, False if it ended."""
    deadline = time.monotonic() + START_TIMEOUT
    while server.poll() is None:
        try:
            connection = connect(url, autocommit=True)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"PostgreSQL did not answer within {START_TIMEOUT:.0f} s: {error}"
                ) from error
            time.sleep(POLL)
        else:
            _ensure_database(connection)
            return True
    return False


def _ensure_database(connection: psycopg.Connection) -> None:
    try:
        with connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                connection.execute(f"CREATE DATABASE {NAME}")
    except psycopg.Error as error:
        raise DatabaseError(f"PostgreSQL could not create the database {NAME}: {error}") from error


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast and immediate shutdown, then none
        server.send_signal(number)
        server.send_signal(signal.SIGCONT)  # a stopped process handles no other signal
        try:
            server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue
        return


def await_old_server(data: Path) -> None:
    """Wait for the server of a service that was killed: it is still shutting down."""
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + OLD_SERVER_TIMEOUT
    while pid := _process_in(pid_file):
        if f"/postgres -D {data} " not in _command_line(pid):
            # The pid belongs to another program now. PostgreSQL would refuse to start while its file names it.
            pid_file.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise DatabaseError(f"An earlier PostgreSQL, process {pid}, still runs on {data}. Stop it first.")
        if sys.platform != "linux":  # elsewhere the server survives the service
            os.kill(pid, signal.SIGINT)
        time.sleep(POLL)


def _process_in(pid_file: Path) -> int | None:
    """Return the process that the file names, if it exists."""
    try:
        pid = int(pid_file.read_text().split("\n")[0])
    except (FileNotFoundError, ValueError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # another user's
        pass
    return pid


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603 - no input


def _why(home: Home, output: str) -> str:
    full = "No space left on device" in output or shutil.disk_usage(home.folder).free < 1_000_000
    lines = output.strip().splitlines()[-10:]
    return "\n".join([" The disk is full." if full else "", *lines])
