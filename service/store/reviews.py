"""The reviews of each submission: their number in an hour, their failures in a row, and their end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus
from service.domain.submission import Status
from service.store.decisions import number_of_records
from service.store.queue import Lease
from service.store.tables import reviews

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Begun:
    """The state at the start of a review, at ``now`` by the database's clock.

    ``has_news`` is True if a webhook or evidence arrived that no finished review has handled, ``unread`` are the
    ids of that evidence. ``wait`` is the time until the submission may be reviewed, None if it may be now.
    ``records`` counts the submission's decisions and answers.
    """

    now: datetime
    has_news: bool
    unread: tuple[int, ...]
    wait: timedelta | None
    records: int


_BEGIN = sa.text(f"""
    SELECT clock_timestamp() AS now,
           EXISTS (SELECT FROM inbox WHERE submission_id = :id AND handled_at IS NULL) AS has_event,
           (SELECT array_agg(id) FROM evidence WHERE submission_id = :id AND handled_at IS NULL) AS unread,
           (SELECT hour_began + :hour FROM reviews
            WHERE submission_id = :id AND in_hour >= :most
              AND clock_timestamp() - hour_began >= interval '0' AND clock_timestamp() - hour_began < :hour) AS over_at,
           {number_of_records(":id")} AS records
""")  # noqa: S608 - nothing of it comes from outside


async def begin_review(connection: AsyncConnection, submission: str, most: int) -> Begun:
    """Return whether the submission may be reviewed now: at most ``most`` reviews within an hour."""
    row = await connection.execute(_BEGIN, {"id": submission, "most": most, "hour": HOUR})
    now, has_event, unread, over_at, records = row.one()
    # The interval is computed here: behind an older PgBouncer psycopg can't know the style in which one arrives.
    wait = over_at - now if over_at else None
    return Begun(now, has_event or unread is not None, tuple(unread or ()), wait, records)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an attempt. The status is pending if the attempt is to be repeated.

    ``shown`` is the status in Prolific's answer to a transition, None if it is not reliable.
    """

    attempt: int
    status: DecisionStatus
    status_code: int | None
    answer: dict[str, Any]
    shown: Status | None = None


# A new hour begins when the last one is over, or began in the future because a clock was set back.
_COUNT = """
    INSERT INTO reviews AS r (submission_id, in_hour) VALUES (:id, 1)
    ON CONFLICT (submission_id) DO UPDATE SET
        hour_began = CASE WHEN now() - r.hour_began BETWEEN interval '0' AND :hour THEN r.hour_began ELSE now() END,
        in_hour = CASE WHEN now() - r.hour_began BETWEEN interval '0' AND :hour THEN r.in_hour + 1 ELSE 1 END,
        outages = 0, refusals = 0, troubled_since = NULL
"""

# The events and evidence that a review began with.
_HANDLE = """
    events AS (
        UPDATE inbox SET handled_at = now()
        WHERE submission_id = :id AND handled_at IS NULL AND received_at <= CAST(:began AS timestamptz)
    ), evidence AS (
        UPDATE evidence SET handled_at = now() WHERE id = ANY(:unread) AND handled_at IS NULL
    )"""

_END = sa.text(f"""
    WITH answered AS (
        INSERT INTO answers (attempt_id, status, status_code, answer)
        SELECT :attempt, :status, :status_code, CAST(:answer AS jsonb) WHERE CAST(:attempt AS bigint) IS NOT NULL
    ), shown AS (
        UPDATE submissions SET status = :shown, seen_at = now(),
               data = data || jsonb_build_object('status', CAST(:shown AS text))
        WHERE id = :id AND CAST(:shown AS text) IS NOT NULL
    ), {_HANDLE}, counted AS ({_COUNT})
    DELETE FROM procrastinate_jobs WHERE id = :job AND attempts = :attempts AND status = 'doing'
    RETURNING EXISTS (SELECT FROM procrastinate_jobs n WHERE n.lock = :id AND n.status = 'todo') AS is_followed
""")  # noqa: S608 - nothing of it comes from outside


_GIVE_UP = sa.text(f"WITH {_HANDLE} SELECT")


async def give_up(connection: AsyncConnection, submission: str, begun: Begun) -> None:
    """Mark as handled what the review began with, so that no sweep repeats it. Its failures stay counted."""
    values = {"id": submission, "began": begun.now, "unread": list(begun.unread)}
    await connection.execute(_GIVE_UP, values)


async def end_review(
    connection: AsyncConnection,
    submission: str,
    *,
    began: datetime | None,
    unread: Sequence[int],
    lease: Lease | None,
    answer: Answer | None = None,
) -> bool | None:
    """Record the end of a review in one statement.

    Return None if the review's job did not end with it, else True if another job of the submission waits.
    Store the answer, mark the submission's events received until ``began`` (None: no event) and the ``unread``
    evidence as handled, count the review, and reset the count of failures.
    """
    ended = await connection.execute(
        _END,
        {
            "id": submission,
            "attempt": answer.attempt if answer else None,
            "status": answer.status.value if answer else None,
            "status_code": answer.status_code if answer else None,
            "answer": json.dumps(answer.answer) if answer else None,
            "shown": answer.shown.value if answer and answer.shown else None,
            "began": began,
            "unread": list(unread),
            "hour": HOUR,
            "job": lease.job_id if lease else None,
            "attempts": lease.attempts if lease else None,
        },
    )
    is_followed: bool | None = ended.scalar_one_or_none()
    return is_followed


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures of a submission's reviews in a row, the first at ``since``; ``now`` is the database's time."""

    outages: int
    refusals: int
    since: datetime
    now: datetime


async def add_outage(connection: AsyncConnection, submission: str) -> Failures:
    """Count a failure that does not depend on the submission: no answer from Prolific, or not a proper one."""
    return await _add(connection, submission, "outages")


async def add_refusal(connection: AsyncConnection, submission: str) -> Failures:
    """Count Prolific's refusal of a request for this submission."""
    return await _add(connection, submission, "refusals")


async def _add(connection: AsyncConnection, submission: str, kind: str) -> Failures:
    # A failed review counts towards the hour's limit too.
    age = sa.func.now() - reviews.c.hour_began
    in_hour = sa.and_(age >= timedelta(0), age < HOUR)
    new = insert(reviews).values(
        {"submission_id": submission, kind: 1, "in_hour": 1, "troubled_since": sa.func.now()}
    )
    row = await connection.execute(
        new.on_conflict_do_update(
            index_elements=[reviews.c.submission_id],
            set_={
                "hour_began": sa.case((in_hour, reviews.c.hour_began), else_=sa.func.now()),
                "in_hour": sa.case((in_hour, reviews.c.in_hour + 1), else_=1),
                kind: reviews.c[kind] + 1,
                # LEAST ignores NULL.
                "troubled_since": sa.func.least(reviews.c.troubled_since, sa.func.now()),
            },
        ).returning(reviews.c.outages, reviews.c.refusals, reviews.c.troubled_since, sa.func.now())
    )
    return Failures(*row.one())
