"""The queue of jobs in PostgreSQL. A job is written in the transaction that causes it.

A submission's id is the lock, so that no two reviews of a submission run at once. A timer has no lock, because
Procrastinate runs jobs of a lock in order and a timer would delay all later ones. It has a queueing lock, by which
it is found and cancelled.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.errors import AutoreviewError

REVIEW = "review"
RETRY = "retry"
# The name of the task in stored jobs: workers of other versions must know it during an update.
TIMER = "wake"
QUEUE = "reviews"
# Procrastinate's own function, with the batch as one JSON text: Procrastinate's way of passing a batch takes psycopg
# several times as long.
_DEFER = sa.text("""
    SELECT procrastinate_defer_jobs_v1(array_agg(
        ROW(:queue, task, priority, lock, timer, args, scheduled_at)::procrastinate_job_to_defer_v1 ORDER BY place))
    FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS new (
        place integer, task text, priority integer, lock text, timer text, args jsonb, scheduled_at timestamptz)
""")


class LeaseLost(AutoreviewError):
    """The job went to another worker, because this one missed its heartbeats."""

    code = "lease_lost"


@dataclass(slots=True)
class Lease:
    """A worker's claim to a job. When the job goes to another worker, its ``attempts`` increase by one.

    ``ended`` is set when the job was deleted in the transaction that stored its result, ``is_followed`` if another
    job of its submission waited then.
    """

    job_id: int
    attempts: int
    ended: bool = False
    is_followed: bool = False


@dataclass(frozen=True, slots=True)
class Orphan:
    """A job taken from a dead worker."""

    queue: str
    task: str
    lock: str | None
    timer: str | None
    args: dict[str, Any]
    attempts: int

    @property
    def is_first(self) -> bool:
        """Return True if a person waits for it. Such jobs run before all others."""
        return self.task == RETRY or self.args.get("trigger") == Trigger.PERSON.value


async def enqueue_reviews(connection: AsyncConnection, submissions: Iterable[str], trigger: Trigger) -> None:
    """Enqueue a review of each submission, in the connection's transaction."""
    await _defer(
        connection,
        [_job(REVIEW, submission, lock=submission, trigger=trigger.value) for submission in submissions],
    )


async def take_orphans(connection: AsyncConnection, heartbeat_timeout: float, longest: float) -> list[Orphan]:
    """Delete the jobs whose workers are dead, or that run longer than any review can, and return them.

    ``heartbeat_timeout`` and ``longest`` are in seconds. The caller puts the jobs back as new ones: a worker that
    was only suspended ends its own job when it resumes, not the one that another worker has by then. Any number of
    workers may call this at once.
    """
    rows = await connection.execute(_ORPHANS, {"silent": heartbeat_timeout, "longest": longest})
    return [Orphan(**row) for row in rows.mappings()]


async def put_back(connection: AsyncConnection, orphan: Orphan, after: timedelta) -> None:
    """Write the job again, to run after this time. Without a delay it runs first, since it was running before."""
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
    """Enqueue the review that sends a manual decision, before all others."""
    trigger = Trigger.PERSON.value
    await _defer(connection, [_job(REVIEW, submission, lock=submission, first=True, trigger=trigger)])


async def enqueue_retry(connection: AsyncConnection, submission: str) -> None:
    """Enqueue the retry of a failed decision, before all reviews."""
    await _defer(connection, [_job(RETRY, submission, lock=submission, first=True)])


async def set_timer(connection: AsyncConnection, submission: str, at: datetime) -> None:
    """Schedule a review of the submission at ``at``. Replaces its earlier timer. Requires the study's lock."""
    await cancel_timer(connection, submission)
    timer = _job(TIMER, submission, timer=_timer(submission), at=at, trigger=Trigger.RECHECK.value)
    await _defer(connection, [timer])


async def fire_timers(connection: AsyncConnection, submissions: Sequence[str]) -> None:
    """Let the submissions' timers fire now: a webhook may report the participant's answer."""
    await connection.execute(_FIRE, {"timers": [_timer(submission) for submission in submissions]})


async def cancel_timer(connection: AsyncConnection, submission: str) -> None:
    """Cancel the submission's timer, if it has one."""
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
# The unique queueing lock drops a timer that was firing if a newer one was set.
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
_FIRE = sa.text("""
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
