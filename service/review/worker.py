"""The worker: runs reviews from the queue, fires timers, takes over the jobs of dead workers."""

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
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.postgres.database import ERROR_HINTS, Database, database_now, error_kind, within
from service.postgres.periodic import run_every
from service.review.job import ReviewJob
from service.review.retry_policy import RetryLater, ReviewKilled
from service.review.review import Reviewer
from service.store.decisions import newest
from service.store.job_app import Jobs
from service.store.queue import (
    QUEUE,
    RETRY,
    REVIEW,
    TIMER,
    Lease,
    LeaseLost,
    Orphan,
    enqueue_reviews,
    put_back,
    take_orphans,
)
from service.telemetry.metrics import Metrics

HEARTBEAT = 2.5  # seconds
RETRY_IN = 3  # seconds
LONGEST_REVIEW = 900.0  # seconds; the end of a longer one was lost
HEARTBEAT_TIMEOUT = 10.0  # seconds; after that the jobs of a worker go to others
RESCUE = "rescue"
RESCUE_EVERY = 5.0  # seconds
HOURLY = "0 * * * *"
CLOCK_TIMEOUT = 2.0  # seconds

log = structlog.get_logger(__name__)


class RetryAlways(BaseRetryStrategy):
    """Retry every job: at the time that ``Tasks.retry_later`` sets, or soon.

    Must not raise: Procrastinate marks the job failed for good if it does.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002
        if isinstance(exception, JobRetry):
            return exception.retry_decision
        return RetryDecision(retry_in={"seconds": RETRY_IN})


@dataclass(frozen=True, slots=True)
class Tasks:
    """The worker's tasks, one method each."""

    jobs: Jobs
    reviewer: Reviewer
    database: Database
    metrics: Metrics

    async def review(self, context: JobContext, submission_id: str, trigger: str) -> None:
        await self._review(context, submission_id, Trigger(trigger), again=False)

    async def retry(self, context: JobContext, submission_id: str) -> None:
        """Send a failed decision again, with its own trigger."""
        async with self.database.connect() as connection:
            last = await newest(connection, submission_id)
        trigger = last.decision.trigger if last else Trigger.SWEEP
        await self._review(context, submission_id, trigger, again=True)

    async def fire_timer(self, submission_id: str, trigger: str) -> None:
        async with self.database.begin() as connection:
            await enqueue_reviews(connection, [submission_id], Trigger(trigger))

    async def retry_later(
        self,
        run: Callable[[], Awaitable[None]],
        context: JobContext,  # noqa: ARG002
        worker: Worker,  # noqa: ARG002
    ) -> None:
        """Run a task. After an error, schedule its next try as the retry policy says, or in a few seconds."""
        try:
            await run()
        except Exception as error:
            after = error.after.total_seconds() if isinstance(error, RetryLater) else random.uniform(2, 5)  # noqa: S311
            # Jobs are due by the database's clock, which may differ from this machine's.
            at = await self._now() + timedelta(seconds=ceil(after))
            raise JobRetry(RetryDecision(retry_at=at)) from error

    async def _now(self) -> datetime:
        async def ask() -> datetime:
            async with self.database.connect() as connection:
                return await database_now(connection)

        try:
            return await within(CLOCK_TIMEOUT, ask())
        except Exception:
            return datetime.now(UTC)

    async def rescue(self, timestamp: int = 0) -> None:  # noqa: ARG002 - Procrastinate passes the scheduled time
        """Give the jobs of dead workers to live ones. Record a failed decision for reviews that exhausted retries."""
        given_up = list[Orphan]()
        async with self.database.begin() as connection:
            for job in await take_orphans(connection, HEARTBEAT_TIMEOUT, LONGEST_REVIEW):
                after = await self._delay(connection, job)
                if after is None:
                    given_up.append(job)
                else:
                    await put_back(connection, job, after)
                    log.warning("job.rescued", task=job.task, after_s=ceil(after.total_seconds()), **job.args)
        # After a crash at this point unread events or a pending decision remain: the sweep finds them.
        for job in given_up:
            trigger = Trigger(job.args.get("trigger", Trigger.SWEEP))
            await self.reviewer.give_up(ReviewJob(job.args["submission_id"], trigger), ReviewKilled())

    async def _delay(self, connection: AsyncConnection, job: Orphan) -> timedelta | None:
        """Return the delay for a job whose worker is dead, None for a review that exhausted its retries."""
        # Timers only enqueue, which never ends a process.
        if job.task not in {REVIEW, RETRY}:
            return timedelta(0)
        return await self.reviewer.failures.killed_delay(connection, job.args["submission_id"])

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
            # The database is away or was restarted: not a failure of the review.
            if error_kind(error) in ERROR_HINTS:
                raise
            log.exception("review.crashed", tries=tries)
            after = await self.reviewer.crash_delay(job, error)
            if after:
                raise RetryLater(after, str(error)) from error
        else:
            self.metrics.reviews.labels(recorded.status.value if recorded else "nothing_to_decide").inc()
            self.metrics.review_seconds.observe(perf_counter() - began)
            if lease.ended:
                self.jobs.ended[lease.job_id] = lease.is_followed


def register_tasks(app: App, reviewer: Reviewer, database: Database, metrics: Metrics) -> None:
    """Register the worker's tasks with the app."""
    assert isinstance(app.job_manager, Jobs)
    tasks = Tasks(app.job_manager, reviewer, database, metrics)
    for name, task in ((REVIEW, tasks.review), (RETRY, tasks.retry)):
        register = app.task(
            name=name,
            queue=QUEUE,
            retry=RetryAlways(),
            pass_context=True,
            task_middleware=[tasks.retry_later],
        )
        register(task)
    app.task(name=TIMER, queue=QUEUE, retry=RetryAlways(), task_middleware=[tasks.retry_later])(
        tasks.fire_timer
    )
    # ``run_worker`` runs the rescue without a job. It is registered as a periodic job because older versions enqueue
    # it, and because Procrastinate monitors its heartbeat only while it has a periodic task.
    rescue = app.task(name=RESCUE, queue=QUEUE, queueing_lock=RESCUE, priority=1)(tasks.rescue)
    app.periodic(cron=HOURLY)(rescue)


async def run_worker(app: App, *, concurrency: int, stopping: asyncio.Event) -> None:
    """Work until ``stopping`` is set, then finish running jobs. Reconnect after a lost database."""
    # Not as a job: slow calls may take all slots, and a long backlog would delay it.
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
            if error_kind(error) in ERROR_HINTS:
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
            stalled_worker_timeout=HEARTBEAT_TIMEOUT,
            delete_jobs=DeleteJobCondition.SUCCESSFUL.value,
        ),
    )
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if running.done():
        running.result()
        return
    running.cancel()  # Procrastinate then fetches no more jobs and finishes the running ones
    with suppress(asyncio.CancelledError):
        await running


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
