"""Start the embedded server again when it ends unexpectedly: after a crash, or when the kernel ran out of memory."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

RESTART_DELAY = 1.0  # seconds; the processes of the last server have to end first

log = structlog.get_logger(__name__)

Server = subprocess.Popen[bytes]


@contextmanager
def kept(server: Server, launch: Callable[[], Server], stop: Callable[[Server], None]) -> Iterator[None]:
    """Restart a server that ends inside the block, and stop the current one at its end.

    On Linux a server lives as long as the thread that launched it, so this one's thread ends last.
    """
    keeper = _Keeper(server, launch)
    keeper.start()
    try:
        yield
    finally:
        stop(keeper.end())
        keeper.release()


class _Keeper(threading.Thread):
    def __init__(self, server: Server, launch: Callable[[], Server]) -> None:
        super().__init__(name="keeper of PostgreSQL", daemon=True)
        self._server = server
        self._launch = launch
        self._ending = threading.Event()
        self._stopped = threading.Event()
        self._change = threading.Lock()

    def run(self) -> None:
        while True:
            code = self._server.wait()
            if self._ending.wait(RESTART_DELAY):
                break
            log.error("postgres.ended", code=code, hint="started again; its log has the reason")
            with self._change:
                if self._ending.is_set():
                    break
                self._server = self._launch()
        self._stopped.wait()  # a server that this thread launched ends with it

    def end(self) -> Server:
        """Stop restarting. Return the current server, for the caller to stop."""
        with self._change:
            self._ending.set()
            return self._server

    def release(self) -> None:
        self._stopped.set()
