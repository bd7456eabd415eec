"""The worker: runs reviews from the queue, rings timers, takes over what a killed worker left."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from time import perf_counter

import structlog
from procrastinate import App, JobContext, RetryDecision
from procrastinate.exceptions import JobRetry
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.retry import BaseRetryStrategy
from procrastinate.worker import Worker

from service.domain.decision import Trigger
from service.postgres.database import HINTS, Database, database_now, kind_of, within
from service.postgres.periodic import run_every
from service.review.retry_policy import RetryLater
from service.review.review import Reviewer, ReviewJob
from service.store.decisions import newest
from service.store.queue import (
    QUEUE,
    RETRY,
    REVIEW,
    WAKE,
    Jobs,
    Lease,
    LeaseLost,
    enqueue_reviews,
    rescue_jobs,
)
from service.telemetry.metrics import Metrics

HEARTBEAT = 2.5  # seconds between a worker's signs of life
SOON = 3  # seconds
LONGEST_REVIEW = 900.0  # seconds; one that is under way for longer lost its end
STALLED = 10.0  # seconds without one, and its jobs are given to others
RESCUE = "rescue"
RESCUE_EVERY = 5.0  # seconds
HOURLY = "0 * * * *"
CLOCK_PATIENCE = 2.0  # seconds to wait for the database's clock

log = structlog.get_logger(__name__)


class RetryAlways(BaseRetryStrategy):
    """Every job is taken up again: when ``Tasks.put_off`` says, or soon. An error in here would end it for good."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002
        if isinstance(exception, JobRetry):
            return exception.retry_decision
        return RetryDecision(retry_in={"seconds": SOON})


@dataclass(frozen=True, slots=True)
class Tasks:
    """What the worker does, one method for each task."""

    jobs: Jobs
    reviewer: Reviewer
    database: Database
    metrics: Metrics

    async def review(self, context: JobContext, submission_id: str, trigger: str) -> None:
        await self._review(context, submission_id, Trigger(trigger), again=False)

    async def retry(self, context: JobContext, submission_id: str) -> None:
        """Send once more what failed; it keeps the trigger that it had."""
        async with self.database.connect() as connection:
            last = await newest(connection, submission_id)
        trigger = last.decision.trigger if last else Trigger.SWEEP
        await self._review(context, submission_id, trigger, again=True)

    async def wake(self, submission_id: str, trigger: str) -> None:
        async with self.database.begin() as connection:
            await enqueue_reviews(connection, [submission_id], Trigger(trigger))

    async def put_off(
        self,
        run: Callable[[], Awaitable[None]],
        context: JobContext,  # noqa: ARG002
        worker: Worker,  # noqa: ARG002
    ) -> None:
        """Around each task: a next try when the table of treatments says, or soon where only the database was away.

        By the database's clock, since jobs are due by that; by our own only where it can't be asked.
        """
        try:
            await run()
        except Exception as error:
            after = error.after.total_seconds() if isinstance(error, RetryLater) else random.uniform(2, 5)  # noqa: S311
            at = await self._now() + timedelta(seconds=ceil(after))
            raise JobRetry(RetryDecision(retry_at=at)) from error

    async def _now(self) -> datetime:
        async def ask() -> datetime:
            async with self.database.connect() as connection:
                return await database_now(connection)

        try:
            return await within(CLOCK_PATIENCE, ask())
        except Exception:
            return datetime.now(UTC)

    async def rescue(self, timestamp: int = 0) -> None:  # noqa: ARG002 - periodic tasks are told their time
        """Give the jobs of workers that are dead to those that live."""
        async with self.database.begin() as connection:
            rescued = await rescue_jobs(connection, STALLED, LONGEST_REVIEW)
        for job in rescued:
            log.warning("job.rescued", job_id=job.id, task=job.task, **job.args)

    async def _review(
        self, context: JobContext, submission_id: str, trigger: Trigger, *, again: bool
    ) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(submission_id=submission_id, trigger=trigger.value)
        began, tries = perf_counter(), context.job.attempts + 1
        lease = Lease(context.job.id or 0, context.job.attempts)
        job = ReviewJob(submission_id, trigger, tries, again=again, lease=lease)
        try:
            recorded = await self.reviewer.review(job)
        except RetryLater as error:
            self.metrics.reviews.labels("retried").inc()
            log.warning("review.retried", why=str(error), tries=tries)
            raise
        except LeaseLost:
            self.metrics.reviews.labels("lease_lost").inc()
            log.warning("review.lease_lost", tries=tries)
        except Exception as error:
            self.metrics.reviews.labels("crashed").inc()
            if kind_of(error) in HINTS:
                raise
            log.exception("review.crashed", tries=tries)
            after = await self.reviewer.crash_delay(job, error)
            if after:
                raise RetryLater(after, str(error)) from error
        else:
            self.metrics.reviews.labels(recorded.status.value if recorded else "nothing_to_decide").inc()
            self.metrics.review_seconds.observe(perf_counter() - began)
            if lease.ended:
                self.jobs.ended.add(lease.job_id)


def register_tasks(app: App, reviewer: Reviewer, database: Database, metrics: Metrics) -> None:
    """Teach the app its tasks."""
    assert isinstance(app.job_manager, Jobs)
    tasks = Tasks(app.job_manager, reviewer, database, metrics)
    for name, task in ((REVIEW, tasks.review), (RETRY, tasks.retry)):
        teach = app.task(
            name=name, queue=QUEUE, retry=RetryAlways(), pass_context=True, task_middleware=[tasks.put_off]
        )
        teach(task)
    app.task(name=WAKE, queue=QUEUE, retry=RetryAlways(), task_middleware=[tasks.put_off])(tasks.wake)
    # ``run_worker`` does not wait for its turn in the queue. As a job it is there for what older versions enqueue,
    # and because Procrastinate watches over its heartbeat only as long as it has something periodic beside it.
    rescue = app.task(name=RESCUE, queue=QUEUE, queueing_lock=RESCUE, priority=1)(tasks.rescue)
    app.periodic(cron=HOURLY)(rescue)


async def run_worker(app: App, *, concurrency: int, stopping: asyncio.Event) -> None:
    """Work until told to stop, then end what is under way; a lost database is waited for."""
    # Beside the jobs: all slots may be taken by calls that are slow, and the backlog be long.
    rescuing = asyncio.create_task(run_every(RESCUE, RESCUE_EVERY, app.tasks[RESCUE]))
    try:
        await _keep_working(app, concurrency, stopping)
    finally:
        rescuing.cancel()


async def _keep_working(app: App, concurrency: int, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            async with app.open_async():
                await _work(app, concurrency, stopping)
        except Exception as error:
            if kind_of(error) in HINTS:
                log.debug("worker.no_database", why=str(error))
            else:
                log.exception("worker.interrupted")
            await _pause(stopping, 2.0)


async def _work(app: App, concurrency: int, stopping: asyncio.Event) -> None:
    running = asyncio.create_task(
        app.run_worker_async(
            queues=[QUEUE],
            concurrency=concurrency,
            install_signal_handlers=False,
            fetch_job_polling_interval=1.0,
            update_heartbeat_interval=HEARTBEAT,
            stalled_worker_timeout=STALLED,
            delete_jobs=DeleteJobCondition.SUCCESSFUL.value,
        ),
    )
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if running.done():
        running.result()
        return
    running.cancel()  # Procrastinate takes it as: fetch no more, end what is under way
    with suppress(asyncio.CancelledError):
        await running


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
