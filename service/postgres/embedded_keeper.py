"""Starting the embedded server again when it ends although nobody stopped it: a crash, the kernel's lack of memory."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

PAUSE = 1.0  # seconds before another start: what is left of the last one has to end first

log = structlog.get_logger(__name__)

Server = subprocess.Popen[bytes]


@contextmanager
def kept(server: Server, launch: Callable[[], Server], stop: Callable[[Server], None]) -> Iterator[None]:
    """Inside the block a server that ends is launched again; at its end the present one is stopped.

    On Linux a server lives as long as the thread that launched it: this one's ends last.
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
            if self._ending.wait(PAUSE):
                break
            log.error("postgres.ended", code=code, hint="started again; its log says why it ended")
            with self._change:
                if self._ending.is_set():
                    break
                self._server = self._launch()
        self._stopped.wait()  # a server that this thread launched would end with it

    def end(self) -> Server:
        """From now on nothing is launched; gives the server that is there to be stopped."""
        with self._change:
            self._ending.set()
            return self._server

    def release(self) -> None:
        self._stopped.set()
