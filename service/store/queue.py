"""The jobs, on the same PostgreSQL: written in the transaction that gives cause to them.

A submission's id is the lock, so no two reviews of one run at once. A timer has no lock: waiting for its
time it would keep back each later job of its lock (Procrastinate asks jobs of one lock in order).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job
from psycopg import AsyncConnection as RawConnection
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.store.database import raw

REVIEW = "review"
WAKE = "wake"
QUEUE = "reviews"


def job_app(url: str) -> App:
    """Procrastinate's app on this database; no connection is opened yet."""
    conninfo = url.replace("postgres://", "postgresql://", 1)
    return App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=6))


class Queue:
    """Writes jobs; who runs them is not its business."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def review(self, connection: AsyncConnection, submissions: Iterable[str], trigger: Trigger) -> None:
        """A review of each of the submissions, as part of the connection's transaction."""
        jobs = [_job(REVIEW, submission, trigger, lock=submission) for submission in submissions]
        if jobs:
            await self._defer(await raw(connection), jobs)

    async def wake(
        self, connection: AsyncConnection, submission: str, at: datetime, trigger: Trigger
    ) -> None:
        """A timer: a review of the submission not before ``at``, whatever restarts in between."""
        await self._defer(await raw(connection), [_job(WAKE, submission, trigger, at=at)])

    async def _defer(self, connection: RawConnection[Any], jobs: list[Job]) -> None:
        await self.app.job_manager.batch_defer_jobs_async(jobs=jobs, connection=connection)


def _job(
    task: str, submission: str, trigger: Trigger, *, lock: str | None = None, at: datetime | None = None
) -> Job:
    return Job(
        queue=QUEUE,
        lock=lock,
        queueing_lock=None,
        task_name=task,
        task_kwargs={"submission_id": submission, "trigger": trigger.value},
        scheduled_at=at,
    )
