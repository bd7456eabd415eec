"""Running the service: web, worker or both in one process, until told to stop."""

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import structlog
import uvicorn

from service.app import Chore, Parts, Service, opened
from service.errors import ConfigurationError
from service.postgres.migrate import head
from service.review.worker import run_worker
from service.settings import Settings
from service.web.listening import listen_on, location, url_of
from service.web.protocol import BoundedProtocol

DRAIN = 2.0  # seconds
GRACE = 8  # seconds for requests and reviews under way, counted from the end of the drain
SILENT = 2.0  # seconds that a statement waits until the database counts as frozen, at a stop
NOTICED = 0.2  # seconds until statements on dropped connections have failed
FORCED_AFTER = 28.0  # seconds from the signal until the process ends whatever hangs; 30 are promised
KEEP_ALIVE = 75  # seconds; longer than proxies keep an idle connection, or they meet one that just closed
BACKLOG = 2048  # connections
JOB = "process job"  # how Procrastinate names the tasks of jobs

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
        _end_by_force_later()


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
        duties = [asyncio.ensure_future(duty()) for duty in service.duties]
        schema = asyncio.create_task(_schema_known(service, stopping))
        chores = [asyncio.create_task(_on_schema(schema, chore)) for chore in service.chores]
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
        worker = asyncio.create_task(_worker(service, schema, stopping) if parts.worker else asyncio.sleep(0))
        try:
            yield
        finally:
            service.health.draining = True
            stopping.set()
            for chore in chores:
                chore.cancel()
            await asyncio.sleep(drain)
            server.should_exit = True
            await asyncio.wait({web, worker}, timeout=GRACE + 1)  # uvicorn itself keeps to GRACE
            await _let_go(service, [web, worker, schema, *duties, *chores])


async def _let_go(service: Service, tasks: Sequence[asyncio.Future[Any]]) -> None:
    """End what still runs, and log the jobs among it: another worker takes them up again.

    A frozen database answers nothing, not even a cancellation, so its connections are dropped first.
    """
    connections = service.database.connections
    jobs = [task for task in asyncio.all_tasks() if task.get_name().startswith(JOB)]
    if jobs:
        left = sorted(task.get_name() for task in jobs)
        log.warning("stopping.left", jobs=left, hint="taken up again by a worker, or at the next start")
    if connections.longest_wait() > SILENT:
        log.warning("stopping.database_silent", hint="its connections are dropped")
        connections.drop_all()
        await asyncio.sleep(NOTICED)  # psycopg spends ten seconds on a statement that is cancelled before
    await _cancelled(jobs)  # before the worker, so that each job's next try can be recorded
    if await _cancelled([*jobs, *tasks]):
        connections.drop_all()
        await _cancelled([*jobs, *tasks])


async def _cancelled(tasks: Sequence[asyncio.Future[Any]]) -> set[asyncio.Future[Any]]:
    """Cancel the tasks; return those that don't end in a second."""
    for task in tasks:
        task.add_done_callback(
            lambda ended: ended.cancelled() or ended.exception()
        )  # nobody else asks for it
        task.cancel()
    return (await asyncio.wait(tasks, timeout=1.0))[1] if tasks else set()


def _end_by_force_later() -> None:
    """End the process after ``FORCED_AFTER`` seconds, even if a thread or the event loop hangs."""

    def end() -> None:
        log.error(
            "stopping.forced",
            after_s=FORCED_AFTER,
            left=sorted(thread.name for thread in threading.enumerate()),
        )
        os._exit(1)

    timer = threading.Timer(FORCED_AFTER, end)
    timer.daemon = True
    timer.start()


async def _on_schema(schema: asyncio.Task[bool], chore: Chore) -> None:
    # Shielded: a chore that is cancelled must not end the wait of the others.
    if await asyncio.shield(schema):
        await chore()


async def _worker(service: Service, schema: asyncio.Task[bool], stopping: asyncio.Event) -> None:
    if not await asyncio.shield(schema):
        return
    service.health.worker_running = True
    try:
        await run_worker(
            service.jobs,
            concurrency=2 * service.settings.prolific_concurrency,
            stopping=stopping,
        )
    finally:
        service.health.worker_running = False


async def _schema_known(service: Service, stopping: asyncio.Event) -> bool:
    """Wait for the schema, which a migration brings. readyz reports it meanwhile. Return False if stopped before."""
    wanted = head()
    is_logged = False
    while not stopping.is_set():
        with suppress(Exception):
            if (await service.database.schema()).works_for(wanted):
                return not stopping.is_set()
        if not is_logged:
            log.warning("schema.missing", wanted=wanted, hint="run `autoreview migrate`")
            is_logged = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), 1.0)
    return False
