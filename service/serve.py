"""Running the service: web, worker or both in one process, until told to stop."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

import structlog
import uvicorn

from service.app import Chore, Parts, Service, opened
from service.errors import ConfigurationError
from service.ops.listening import listen_on, location, url_of
from service.ops.protocol import BoundedProtocol
from service.review.worker import run_worker
from service.settings import Settings
from service.store.migrate import head

DRAIN = 2.0  # seconds
GRACE = 10  # seconds for requests under way
KEEP_ALIVE = 75  # seconds; longer than proxies keep an idle connection, or they meet one that just closed
BACKLOG = 2048  # connections

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn, leaving signals to us: readyz must fail before the socket closes."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(settings: Settings) -> socket.socket:
    """The socket to serve on, not listening yet. Raises ConfigurationError where the address is taken."""
    try:
        return listen_on(settings.host, settings.port)
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {location(settings.host, settings.port)} ({error.strerror}): "
            "set AUTOREVIEW_HOST or AUTOREVIEW_PORT."
        ) from None


async def serve(service: Service, parts: Parts, listener: socket.socket) -> None:
    """Run until SIGTERM or SIGINT; then readyz fails first, and what is under way ends."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, told.set)
    async with running(service, parts, listener):
        gc.collect()
        gc.freeze()  # what is built by now stays: no collection needs to look at it again
        log.info("serving", url=url_of(listener), mode=service.settings.mode.value)
        await told.wait()
        log.info("stopping")


@asynccontextmanager
async def running(
    service: Service, parts: Parts, listener: socket.socket, *, drain: float = DRAIN
) -> AsyncIterator[None]:
    """The service at work inside the block; a clean stop at its end.

    For ``drain`` seconds readyz says no while requests are still answered: time to be taken out of rotation.
    """
    stopping = asyncio.Event()
    listener.listen(BACKLOG)  # from now on connections wait for us instead of being refused
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(service))
        tasks = [asyncio.ensure_future(duty()) for duty in service.duties]
        tasks += [asyncio.create_task(_on_schema(service, stopping, chore)) for chore in service.chores]
        server = Server(
            uvicorn.Config(
                service.web,
                http=BoundedProtocol,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
            ),
        )
        web = asyncio.create_task(server.serve(sockets=[listener]), name="web")
        worker = asyncio.create_task(_worker(service, stopping) if parts.worker else asyncio.sleep(0))
        try:
            yield
        finally:
            service.health.draining = True
            stopping.set()
            await asyncio.gather(asyncio.sleep(drain), worker, return_exceptions=True)
            server.should_exit = True
            await web
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _on_schema(service: Service, stopping: asyncio.Event, chore: Chore) -> None:
    await _schema_known(service, stopping)
    await chore()


async def _worker(service: Service, stopping: asyncio.Event) -> None:
    await _schema_known(service, stopping)
    service.health.worker_running = True
    try:
        await run_worker(
            service.jobs,
            concurrency=2 * service.settings.prolific_concurrency,
            stopping=stopping,
        )
    finally:
        service.health.worker_running = False


async def _schema_known(service: Service, stopping: asyncio.Event) -> None:
    """Wait for the schema, which a migration brings; readyz says so meanwhile."""
    wanted = head()
    told = False
    while not stopping.is_set():
        with suppress(Exception):
            if (await service.database.schema()).works_for(wanted):
                return
        if not told:
            log.warning("worker.waits_for_schema", wanted=wanted, hint="run `autoreview migrate`")
            told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), 1.0)
