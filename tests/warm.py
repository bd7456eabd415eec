"""Commands run as processes that are forked from one with all imports done.

Importing the service takes longer than most commands. ``python -m tests.warm SOCKET`` imports it once, then forks
a process for each command: with its own environment, folder, standard files and exit code, as if started anew.
``python -m tests.warm SOCKET MODULE...`` imports these modules alone: its commands import the service themselves.
"""

import asyncio
import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Self

START_TIMEOUT = 120.0  # seconds; the imports of a busy machine
COMMAND_TIMEOUT = 120.0  # seconds
POLL = 0.01  # seconds
# Passes its arguments, environment, folder and standard files on; ends as the command does.
COMMAND = """\
#!{python} -IS
import json, os, signal, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({server!r})
socket.send_fds(connection, [bytes(1)], [0, 1, 2])
request = {{"arguments": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}
connection.sendall(json.dumps(request).encode() + b"\\n")
answers = connection.makefile()
pid = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(pid, number))
code = int(answers.readline())
sys.exit(code if code >= 0 else 128 - code)
"""
_starting = threading.Lock()


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes | None = None,
    imported: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end; raises TimeoutError if it takes longer than ``COMMAND_TIMEOUT``.

    With ``imported``, these modules alone are imported before it starts, instead of the service.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin or b"")
        files[0].seek(0)
        process = stack.enter_context(_forked(arguments, env, cwd, files, imported))
        code = process.join(COMMAND_TIMEOUT)
        for file in files:
            file.seek(0)
        return subprocess.CompletedProcess(arguments, code, files[1].read(), files[2].read())


class Process:
    """A command at work. ``returncode`` is its exit code, negative for a signal, None before ``wait`` saw it end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(self._line())
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def join(self, timeout: float) -> int:
        """Return the exit code; kill the process and raise TimeoutError if it takes longer."""
        self._connection.settimeout(timeout)
        try:
            self.returncode = int(self._line())
        except TimeoutError:
            self.kill()
            raise
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.join(COMMAND_TIMEOUT)
        return self.returncode

    async def wait(self) -> int:
        """Wait for the end; return the exit code."""
        while self.poll() is None:
            await asyncio.sleep(POLL)
        assert self.returncode is not None
        return self.returncode

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            part = self._connection.recv(1)
            assert part, "the server for commands ended"
            line += part
        return line.decode()


def start(
    arguments: Sequence[str], *, env: Mapping[str, str], log: IO[bytes], cwd: Path | None = None
) -> Process:
    """Start a command that writes to ``log``. The caller ends the process."""
    with Path(os.devnull).open("rb") as nothing:
        return _forked(arguments, env, cwd, [nothing, log, log])


def write_command(folder: Path) -> None:
    """Write ``autoreview`` into a folder for a shell's PATH."""
    folder.mkdir()
    command = folder / "autoreview"
    command.write_text(COMMAND.format(python=sys.executable, server=_server()), encoding="utf-8")
    command.chmod(0o755)


def _forked(
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None,
    files: Sequence[IO[bytes]],
    imported: tuple[str, ...] = (),
) -> Process:
    request = {"arguments": arguments, "env": dict(env), "cwd": str(cwd or Path.cwd())}
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(COMMAND_TIMEOUT)
    with _starting:
        connection.connect(_server(*imported))
    socket.send_fds(connection, [b"\0"], [file.fileno() for file in files])
    connection.sendall(json.dumps(request).encode() + b"\n")
    return Process(connection)


@cache
def _server(*imported: str) -> str:
    """Start the server, once for this process and these imports; return its socket's path."""
    folder = tempfile.TemporaryDirectory(prefix="warm")
    path = f"{folder.name}/socket"
    process = subprocess.Popen([sys.executable, "-m", "tests.warm", path, *imported], stdin=subprocess.PIPE)
    atexit.register(_stop, process, folder)
    deadline = time.monotonic() + START_TIMEOUT
    while not os.path.exists(path):  # noqa: PTH110 - a socket of this name appears
        assert process.poll() is None, "the server for commands did not start"
        assert time.monotonic() < deadline, "the server for commands did not start in time"
        time.sleep(0.01)
    return path


def _stop(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdin
    process.stdin.close()
    folder.cleanup()


def _import_everything() -> None:
    import service

    for module in pkgutil.walk_packages(service.__path__, "service."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _serve(path: str) -> None:
    """Fork for each connection; returns only in a command's own process."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen(64)
        Path(f"{path}.new").rename(path)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the forked processes
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if listener not in ready:  # the tests ended, however they did
                sys.exit()
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests ignore it, after ``&``
    _become_command(connection)


def _become_command(connection: socket.socket) -> None:
    """Return in the command's process; the one that forked it reports how it ended, and ends."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r") as requests:
        request = json.loads(requests.readline())
    if pid := os.fork():
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["env"])
    _reopen_output()
    time.tzset()
    os.chdir(request["cwd"])
    # As under ``python -m service``: click names the program by these.
    import service

    sys.argv = [str(Path(service.__path__[0]) / "__main__.py"), *request["arguments"]]
    sys.modules["__main__"].__package__ = "service"


def _reopen_output() -> None:
    """Let Python's streams take what the files are from now on: terminals, pipes or files."""
    lines = os.isatty(1) or bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", buffering=1 if lines else -1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc]  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )


def _exit_code(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    print(ended.code, file=sys.stderr)
    return 1


def _run_command() -> int:
    from service.cli import main

    try:
        main()
    except SystemExit as ended:
        return _exit_code(ended)
    except BaseException:  # Python itself would print it and exit so
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    if not sys.argv[2:]:
        _import_everything()
    gc.collect()
    gc.freeze()
    _serve(sys.argv[1])
    code = _run_command()
    # What Python does at its end, but for freeing every object: that takes as long as the imports.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
