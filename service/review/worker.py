"""The worker: runs reviews from the queue, rings timers, takes over what a killed worker left."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from math import ceil
from time import perf_counter

import structlog
from procrastinate import App, JobContext, RetryDecision
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.retry import BaseRetryStrategy

from service.domain.decision import Trigger
from service.ops.metrics import Metrics
from service.review.review import Reviewer
from service.review.treatment import RetryLater
from service.store.database import Database
from service.store.queue import QUEUE, REVIEW, WAKE, Queue

HEARTBEAT = 2.5  # seconds between a worker's signs of life
STALLED = 10.0  # seconds without one, and its jobs are given to others
RESCUE_EVERY = "* * * * * */5"  # cron, its sixth field the seconds
LONGEST = timedelta(minutes=10)

log = structlog.get_logger(__name__)


class Patience(BaseRetryStrategy):
    """A review that failed is taken up again: when Prolific's answer says, else later and later."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, RetryLater):
            after = exception.after
        else:
            after = min(LONGEST, timedelta(seconds=2.0 ** min(job.attempts + 1, 10)))
        return RetryDecision(retry_in={"seconds": ceil(after.total_seconds())})


def register_tasks(app: App, reviewer: Reviewer, database: Database, queue: Queue, metrics: Metrics) -> None:
    """Teach the app its tasks."""

    @app.task(name=REVIEW, queue=QUEUE, retry=Patience(), pass_context=True)
    async def review(context: JobContext, submission_id: str, trigger: str) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(submission_id=submission_id, trigger=trigger)
        began = perf_counter()
        try:
            recorded = await reviewer.review(submission_id, Trigger(trigger), context.job.attempts + 1)
        except RetryLater as error:
            metrics.reviews.labels("retried").inc()
            log.warning("review.retried", why=str(error), tries=context.job.attempts + 1)
            raise
        except Exception:
            metrics.reviews.labels("crashed").inc()
            log.exception("review.crashed", tries=context.job.attempts + 1)
            raise
        metrics.reviews.labels(recorded.status.value if recorded else "nothing_to_decide").inc()
        metrics.review_seconds.observe(perf_counter() - began)

    @app.task(name=WAKE, queue=QUEUE, retry=Patience())
    async def wake(submission_id: str, trigger: str) -> None:
        async with database.begin() as connection:
            await queue.review(connection, [submission_id], Trigger(trigger))

    @app.periodic(cron=RESCUE_EVERY)
    @app.task(name="rescue", queue=QUEUE)
    async def rescue(timestamp: int) -> None:  # noqa: ARG001 - periodic tasks are told their time
        stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED)
        for job in stalled:
            log.warning("job.rescued", job_id=job.id, task=job.task_name, **job.task_kwargs)
            await app.job_manager.retry_job(job)


async def run_worker(app: App, *, concurrency: int, stopping: asyncio.Event) -> None:
    """Work until told to stop, then end what is under way; a lost database is waited for."""
    while not stopping.is_set():
        try:
            async with app.open_async():
                await _work(app, concurrency, stopping)
        except Exception:
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
