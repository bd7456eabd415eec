"""Procrastinate's app on this service's database connections."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, LiteralString

import psycopg
import stamina
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.connector import BaseConnector, Notify
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback
from procrastinate.sql import queries

from service.postgres.connection import Connection, Connections
from service.postgres.database import error_kind
from service.postgres.requirements import WORKER
from service.store.workers import RECORD, WorkerSettings

POOL_TIMEOUT = 15.0  # seconds to wait for a connection; psycopg's 30 s would be too long after a failover

log = structlog.get_logger(__name__)


class Connector(PsycopgConnector):
    """Procrastinate's connector over this service's connections.

    ``on_heartbeat`` is called after each heartbeat. ``settings`` are recorded with each worker that is registered.
    """

    def __init__(
        self, *, on_heartbeat: Callable[[], None], settings: WorkerSettings | None, **pool: Any
    ) -> None:
        super().__init__(**pool)
        self._on_heartbeat = on_heartbeat
        self._settings = settings

    # Above all the end or retry of a job: without it this live worker would seem to hold the job still.
    @stamina.retry(on=lambda error: error_kind(error) == "unreachable", attempts=3, wait_initial=0.1)
    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """Execute a statement; retry it if the connection dropped."""
        await super().execute_query_async(query, **arguments)
        # Procrastinate has no hook for heartbeats.
        if query == queries["update_heartbeat"]:
            self._on_heartbeat()

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Execute a statement that returns a row; registering a worker is its first heartbeat."""
        row: dict[str, Any] = await super().execute_query_one_async(query, **arguments)
        if query == queries["register_worker"]:
            self._on_heartbeat()
            if self._settings:
                recorded = json.dumps(self._settings.as_dict())
                await super().execute_query_async(RECORD, worker_id=row["worker_id"], settings=recorded)
        return row

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen for jobs. Behind a pooler, do nothing: the worker finds jobs by polling."""
        async with self.pool.connection() as connection:
            is_pooled = getattr(connection, "is_pooled", False)
        if is_pooled:
            # A pooler would deliver the notifications to the next client of the server connection.
            log.info("worker.polls", hint="a connection pooler does not pass notifications on")
            await asyncio.Event().wait()
        await super().listen_notify(on_notification, channels)


async def _autocommit(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


class Jobs(JobManager):
    """Procrastinate's job manager with three changes.

    A job that ended in the transaction of its own work is not finished again. A fetch during which a notification
    arrives is repeated: the worker drops the notification after an empty fetch, and the job would wait for a poll.
    The end of a job notifies too if another one of its submission waits for the lock.

    ``ended`` has the jobs that ended in their own transaction, and whether another one waits.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.ended: dict[int, bool] = {}
        self._notifications = 0
        self._notify: NotificationCallback | None = None

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def count(*, channel: str, notification: Notification) -> None:
            self._notifications += 1
            await on_notification(channel=channel, notification=notification)

        self._notify = count
        await super().listen_for_jobs(on_notification=count, queues=queues)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        while True:
            seen = self._notifications
            job = await super().fetch_job(queues, worker_id)
            # A job came in between the empty result and this line.
            if job or seen == self._notifications:
                return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        # Its row went with the transaction of its work: ending it again would fail.
        is_followed = self.ended.pop(job.id or 0, None)
        if is_followed is None:
            await super().finish_job(job, status, delete_job)
        # Not after each job: that would be one more fetch for each review.
        if self._notify and job.lock and is_followed is not False:
            await self._notify(channel="", notification={"type": "job_inserted", "job_id": job.id or 0})


def job_app(
    connections: Connections,
    *,
    size: int = WORKER.jobs,
    on_heartbeat: Callable[[], None] = lambda: None,
    settings: WorkerSettings | None = None,
) -> App:
    """Return Procrastinate's app on this database. No connection is opened yet. Its worker records ``settings``."""
    connector = Connector(
        on_heartbeat=on_heartbeat,
        settings=settings,
        connection_class=Connection,
        kwargs={"connections": connections},
        min_size=1,
        max_size=size,
        timeout=POOL_TIMEOUT,
        configure=_autocommit,  # each statement is a transaction of its own: saves BEGIN and COMMIT
    )
    app = App(connector=connector)
    app.job_manager = Jobs(app.connector)
    return app
