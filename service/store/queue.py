"""The jobs, on the same PostgreSQL: written in the transaction that gives cause to them.

A submission's id is the lock, so no two reviews of one run at once. A timer has no lock: waiting for its
time it would keep back each later job of its lock (Procrastinate asks jobs of one lock in order).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from procrastinate import App, PsycopgConnector
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger

REVIEW = "review"
WAKE = "wake"
QUEUE = "reviews"


def job_app(url: str) -> App:
    """Procrastinate's app on this database; no connection is opened yet."""
    conninfo = url.replace("postgres://", "postgresql://", 1)
    return App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=6))


# Procrastinate's own function, which its Python calls too, with the batch as one JSON text: its way of handing
# over a batch costs psycopg several times as much.
_DEFER = sa.text("""
    SELECT procrastinate_defer_jobs_v1(array_agg(
        ROW(:queue, task, 0, lock, NULL, args, scheduled_at)::procrastinate_job_to_defer_v1 ORDER BY place))
    FROM jsonb_to_recordset(CAST(:jobs AS jsonb))
         AS new (place integer, task text, lock text, args jsonb, scheduled_at timestamptz)
""")


class Queue:
    """Writes jobs; who runs them is not its business."""

    async def review(self, connection: AsyncConnection, submissions: Iterable[str], trigger: Trigger) -> None:
        """A review of each of the submissions, as part of the connection's transaction."""
        await _defer(
            connection,
            [_job(REVIEW, submission, trigger, lock=submission) for submission in submissions],
        )

    async def wake(
        self, connection: AsyncConnection, submission: str, at: datetime, trigger: Trigger
    ) -> None:
        """A timer: a review of the submission not before ``at``, whatever restarts in between."""
        await _defer(connection, [_job(WAKE, submission, trigger, at=at)])


async def _defer(connection: AsyncConnection, jobs: Sequence[dict[str, Any]]) -> None:
    if jobs:
        numbered = [job | {"place": place} for place, job in enumerate(jobs)]
        await connection.execute(_DEFER, {"queue": QUEUE, "jobs": json.dumps(numbered)})


def _job(
    task: str, submission: str, trigger: Trigger, *, lock: str | None = None, at: datetime | None = None
) -> dict[str, Any]:
    return {
        "task": task,
        "lock": lock,
        "args": {"submission_id": submission, "trigger": trigger.value},
        "scheduled_at": at.isoformat() if at else None,
    }
