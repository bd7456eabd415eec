"""Run the service: web, worker or both in one process, until SIGTERM or SIGINT."""

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog
import uvicorn

from service.app import BackgroundTask, Parts, Service, opened
from service.errors import ConfigurationError
from service.postgres.migrate import head
from service.review.worker import run_worker
from service.settings import Settings
from service.web.listening import listen_on, location, url_of
from service.web.protocol import BoundedProtocol
from service.web.server import Server

DRAIN = 2.0  # seconds
GRACE = 8  # seconds for running requests and reviews, from the end of the drain
FROZEN_AFTER = 2.0  # seconds that a statement waits until the database counts as frozen, at a stop
DROP_TIME = 0.2  # seconds until statements on dropped connections have failed
FORCED_AFTER = 28.0  # seconds from the signal to the forced end of the process; 30 are promised
KEEP_ALIVE_TIMEOUT = (
    75  # seconds; proxies keep idle connections for less, and must not reuse one that is just closed
)
BACKLOG = 2048  # connections
JOB = "process job"  # prefix of Procrastinate's task names

log = structlog.get_logger(__name__)


def bind(settings: Settings) -> socket.socket:
    """Return the bound socket, not listening yet. Raise ConfigurationError if the address is in use."""
    try:
        return listen_on(settings.host, settings.port)
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {location(settings.host, settings.port)} ({error.strerror}): "
            "set AUTOREVIEW_HOST or AUTOREVIEW_PORT."
        ) from None


async def serve(service: Service, parts: Parts, listener: socket.socket) -> None:
    """Run until SIGTERM or SIGINT. Then readyz fails first, and running requests and reviews end."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, signalled.set)
    async with running(service, parts, listener):
        gc.collect()
        gc.freeze()  # the objects built so far live until the end, so garbage collection can skip them
        log.info("serving", url=url_of(listener), mode=service.settings.mode.value)
        await signalled.wait()
        log.info("stopping")
        _end_by_force_later()


@asynccontextmanager
async def running(
    service: Service, parts: Parts, listener: socket.socket, *, drain: float = DRAIN
) -> AsyncIterator[None]:
    """Run the service inside the block, and stop it cleanly at the end.

    During ``drain`` seconds readyz fails while requests are still answered, so that load balancers stop sending.
    """
    stopping = asyncio.Event()
    listener.listen(BACKLOG)  # from now on connections wait instead of being refused
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(service))
        background = [asyncio.ensure_future(task()) for task in service.background]
        schema = asyncio.create_task(_wait_for_schema(service, stopping))
        after_migration = [
            asyncio.create_task(_after_migration(schema, task)) for task in service.after_migration
        ]
        server = Server(
            uvicorn.Config(
                service.web,
                http=BoundedProtocol,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=KEEP_ALIVE_TIMEOUT,
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
            for task in after_migration:
                task.cancel()
            await asyncio.sleep(drain)
            server.stop()
            await asyncio.wait({web, worker}, timeout=GRACE + 1)  # uvicorn itself stops within GRACE
            await _end_tasks(service, [web, worker, schema, *background, *after_migration])


async def _end_tasks(service: Service, tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel the tasks that still run. Log the jobs among them, which another worker takes over."""
    connections = service.database.connections
    jobs = [task for task in asyncio.all_tasks() if task.get_name().startswith(JOB)]
    if jobs:
        names = sorted(task.get_name() for task in jobs)
        log.warning("stopping.left", jobs=names, hint="a worker takes them over, or the next start")
    # A frozen database does not answer a cancellation either, and psycopg waits ten seconds for it.
    if connections.longest_wait() > FROZEN_AFTER:
        log.warning("stopping.database_silent", hint="its connections are dropped")
        connections.drop_all()
        await asyncio.sleep(DROP_TIME)
    await _cancel(jobs)  # before the worker, so that each job's retry can be recorded
    if await _cancel([*jobs, *tasks]):
        connections.drop_all()
        await _cancel([*jobs, *tasks])


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> set[asyncio.Future[Any]]:
    """Cancel the tasks. Return those that don't end within a second."""
    for task in tasks:
        task.add_done_callback(
            lambda ended: ended.cancelled() or ended.exception()
        )  # retrieve the exception, or asyncio logs it
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


async def _after_migration(schema: asyncio.Task[bool], task: BackgroundTask) -> None:
    # Shielded: a task that is cancelled must not end the wait of the others.
    if await asyncio.shield(schema):
        await task()


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


async def _wait_for_schema(service: Service, stopping: asyncio.Event) -> bool:
    """Wait until the schema is migrated. Return False if the service stops before."""
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
