"""The jobs, on the same PostgreSQL: written in the transaction that gives cause to them.

A submission's id is the lock, so no two reviews of one run at once. A timer has no lock: waiting for its
time it would keep back each later job of its lock (Procrastinate asks jobs of one lock in order). It has a
queueing lock, by which it is found and cancelled.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
import sqlalchemy as sa
import stamina
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.connector import BaseConnector, Notify
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback
from procrastinate.sql import queries
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.errors import AutoreviewError
from service.postgres.connection import Connection, Connections
from service.postgres.database import kind_of
from service.postgres.requirements import WORKER
from service.store.workers import RECORD, WorkerSettings

REVIEW = "review"
RETRY = "retry"
WAKE = "wake"
QUEUE = "reviews"
POOL_TIMEOUT = 15.0  # seconds to wait for a connection; psycopg's 30 would be late after a failover

log = structlog.get_logger(__name__)


class Connector(PsycopgConnector):
    """Procrastinate's way to the database, over this service's connections; ``on_heartbeat`` is called after each.

    ``settings`` are recorded with each worker that is registered.
    """

    def __init__(
        self, *, on_heartbeat: Callable[[], None], settings: WorkerSettings | None, **pool: Any
    ) -> None:
        super().__init__(**pool)
        self._on_heartbeat = on_heartbeat
        self._settings = settings

    # That a job ended or is to be tried again, above all: else it would look as if this living worker still had it.
    @stamina.retry(on=lambda error: kind_of(error) == "unreachable", attempts=3, wait_initial=0.1)
    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """Execute a statement; retry it if the connection dropped."""
        await super().execute_query_async(query, **arguments)
        if query == queries["update_heartbeat"]:
            self._on_heartbeat()

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Execute a statement that returns a row; registering a worker is its first heartbeat."""
        row: dict[str, Any] = await super().execute_query_one_async(query, **arguments)
        if query == queries["register_worker"]:
            if self._settings:
                recorded = json.dumps(self._settings.as_dict())
                await super().execute_query_async(RECORD, worker_id=row["worker_id"], settings=recorded)
            self._on_heartbeat()
        return row

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen, or behind a pooler leave finding jobs to polling: notifications would reach whoever comes next."""
        async with self.pool.connection() as connection:
            is_pooled = getattr(connection, "is_pooled", False)
        if is_pooled:
            log.info("worker.polls", hint="a connection pooler passes no notifications on")
            await asyncio.Event().wait()
        await super().listen_notify(on_notification, channels)


async def _autocommit(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


class Jobs(JobManager):
    """Procrastinate's jobs, without two of its costs.

    Jobs that ended together with their work, in one transaction, are left alone. And a notification that arrives
    while an empty fetch is under way is not lost (the worker forgets it after the fetch, and the job would wait
    for the next poll): then the fetch is repeated.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.ended: set[int] = set()
        self._notifications = 0

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def count(*, channel: str, notification: Notification) -> None:
            self._notifications += 1
            await on_notification(channel=channel, notification=notification)

        await super().listen_for_jobs(on_notification=count, queues=queues)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        while True:
            seen = self._notifications
            job = await super().fetch_job(queues, worker_id)
            if job or seen == self._notifications:
                return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        if job.id in self.ended:
            self.ended.discard(job.id)
        else:
            await super().finish_job(job, status, delete_job)


def job_app(
    connections: Connections,
    *,
    size: int = WORKER.jobs,
    on_heartbeat: Callable[[], None] = lambda: None,
    settings: WorkerSettings | None = None,
) -> App:
    """Procrastinate's app on this database; no connection is opened yet. Its worker records ``settings``.

    Each of its statements is a transaction by itself: autocommit saves it BEGIN and COMMIT.
    """
    connector = Connector(
        on_heartbeat=on_heartbeat,
        settings=settings,
        connection_class=Connection,
        kwargs={"connections": connections},
        min_size=1,
        max_size=size,
        timeout=POOL_TIMEOUT,
        configure=_autocommit,
    )
    app = App(connector=connector)
    app.job_manager = Jobs(app.connector)
    return app


# Procrastinate's own function, which its Python calls too, with the batch as one JSON text: its way of handing
# over a batch costs psycopg several times as much.
_DEFER = sa.text("""
    SELECT procrastinate_defer_jobs_v1(array_agg(
        ROW(:queue, task, priority, lock, timer, args, scheduled_at)::procrastinate_job_to_defer_v1 ORDER BY place))
    FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS new (
        place integer, task text, priority integer, lock text, timer text, args jsonb, scheduled_at timestamptz)
""")


class LeaseLost(AutoreviewError):
    """This worker was taken for dead meanwhile, and its job given to another."""

    code = "lease_lost"


@dataclass(slots=True)
class Lease:
    """A job as its worker took it; when it is given to another worker, its attempts are one more.

    ``ended`` is set once the job was deleted in the transaction that stored what came of it.
    """

    job_id: int
    attempts: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Orphan:
    """A job that was taken from a dead worker."""

    queue: str
    task: str
    lock: str | None
    timer: str | None
    args: dict[str, Any]
    attempts: int

    @property
    def is_first(self) -> bool:
        """Whether a person waits for it, so that it goes before all others."""
        return self.task == RETRY or self.args.get("trigger") == Trigger.PERSON.value


async def enqueue_reviews(connection: AsyncConnection, submissions: Iterable[str], trigger: Trigger) -> None:
    """A review of each of the submissions, as part of the connection's transaction."""
    await _defer(
        connection,
        [_job(REVIEW, submission, lock=submission, trigger=trigger.value) for submission in submissions],
    )


async def take_orphans(connection: AsyncConnection, silent: float, longest: float) -> list[Orphan]:
    """Remove the jobs whose workers are dead, or that take longer than any review can, and return them.

    ``silent`` and ``longest`` are in seconds. They are put back as new jobs, because a worker that only slept
    ends its job when it wakes: that must not be the one that another has by then. Any number of workers may
    ask for this at once.
    """
    rows = await connection.execute(_ORPHANS, {"silent": silent, "longest": longest})
    return [Orphan(**row) for row in rows.mappings()]


async def put_back(connection: AsyncConnection, orphan: Orphan, after: timedelta) -> None:
    """Write the job anew: at once before all that waits, since it had its turn, else after this time."""
    values = {
        "queue": orphan.queue,
        "task": orphan.task,
        "priority": int(orphan.is_first or not after),
        "lock": orphan.lock,
        "timer": orphan.timer,
        "args": json.dumps(orphan.args),
        "attempts": orphan.attempts + 1,
        "after": after,
    }
    await connection.execute(_PUT_BACK, values)


async def enqueue_decided(connection: AsyncConnection, submission: str) -> None:
    """A review for what a person decided: before all others, also one of it that waits for its next try."""
    trigger = Trigger.PERSON.value
    await _defer(connection, [_job(REVIEW, submission, lock=submission, first=True, trigger=trigger)])


async def enqueue_retry(connection: AsyncConnection, submission: str) -> None:
    """Another try for what failed, before all reviews."""
    await _defer(connection, [_job(RETRY, submission, lock=submission, first=True)])


async def set_timer(connection: AsyncConnection, submission: str, at: datetime, trigger: Trigger) -> None:
    """A review of the submission not before ``at``, whatever restarts in between.

    A submission has one timer: this one takes an earlier one's place. Only for who holds the study's lock.
    """
    await cancel_timer(connection, submission)
    timer = _job(WAKE, submission, timer=_timer(submission), at=at, trigger=trigger.value)
    await _defer(connection, [timer])


async def fire_timers(connection: AsyncConnection, submissions: Sequence[str]) -> None:
    """The submissions' timers ring now, where they have one: something says that they were answered."""
    await connection.execute(_RING, {"timers": [_timer(submission) for submission in submissions]})


async def cancel_timer(connection: AsyncConnection, submission: str) -> None:
    """The submission's timer, if it has one, won't ring."""
    await connection.execute(_CANCEL, {"timer": _timer(submission)})


_ORPHANS = sa.text("""
    WITH dead AS (
        DELETE FROM procrastinate_jobs WHERE id IN (
            SELECT id FROM procrastinate_jobs job
            WHERE status = 'doing' AND (
                worker_id IS NULL
                OR worker_id IN (
                    SELECT id FROM procrastinate_workers
                    WHERE last_heartbeat < now() - make_interval(secs => :silent)
                )
                OR now() - make_interval(secs => :longest) > (
                    SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'started'
                )
            )
            FOR UPDATE SKIP LOCKED
        )
        RETURNING *
    )
    SELECT queue_name AS queue, task_name AS task, lock, queueing_lock AS timer, args, attempts FROM dead ORDER BY id
""")
# A timer that was set since then takes the place of one that was ringing.
_PUT_BACK = sa.text("""
    INSERT INTO procrastinate_jobs (
        queue_name, task_name, priority, lock, queueing_lock, args, attempts, scheduled_at)
    VALUES (:queue, :task, :priority, :lock, :timer, CAST(:args AS jsonb), :attempts,
            CASE WHEN CAST(:after AS interval) > interval '0' THEN now() + CAST(:after AS interval) END)
    ON CONFLICT DO NOTHING
""")
_CANCEL = sa.text("""
    SELECT procrastinate_cancel_job_v1(id, false, true)
    FROM procrastinate_jobs WHERE queueing_lock = :timer AND status = 'todo'
""")
_RING = sa.text("""
    UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE queueing_lock = ANY(:timers) AND status = 'todo'
""")


def _timer(submission: str) -> str:
    return f"timer:{submission}"


async def _defer(connection: AsyncConnection, jobs: Sequence[dict[str, Any]]) -> None:
    if jobs:
        numbered = [job | {"place": place} for place, job in enumerate(jobs)]
        await connection.execute(_DEFER, {"queue": QUEUE, "jobs": json.dumps(numbered)})


def _job(
    task: str,
    submission: str,
    *,
    lock: str | None = None,
    timer: str | None = None,
    at: datetime | None = None,
    first: bool = False,
    **arguments: str,
) -> dict[str, Any]:
    return {
        "task": task,
        "priority": int(first),
        "lock": lock,
        "timer": timer,
        "args": {"submission_id": submission, **arguments},
        "scheduled_at": at.isoformat() if at else None,
    }
