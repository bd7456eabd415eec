"""Overdue work: submissions without the job that should review them or apply their decision."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus
from service.domain.submission import Status
from service.store.decisions import IS_NEWEST, UNCLEAR, newest_decision
from service.store.inbox import normalised

RECENT = timedelta(days=30)  # Prolific itself approves on day 21


class Cause(StrEnum):
    """Why a sweep has a submission reviewed."""

    # Prolific lists it as awaiting review, and no webhook reported it.
    WEBHOOK_MISSED = "webhook_missed"
    NOT_REVIEWED = "not_reviewed"  # a webhook or evidence arrived, and no review handled it
    NOT_APPLIED = "not_applied"  # decided, and never sent
    UNCONFIRMED = "unconfirmed"  # sent, and no answer shows whether it arrived
    TIMER_MISSED = "timer_missed"  # its timer should have fired
    UNDONE = "undone"  # decided and applied, and it still or again awaits review
    GONE = "gone"  # it awaits review in the database, and Prolific does not list it


NO_JOB = """NOT EXISTS (
    SELECT FROM procrastinate_jobs j WHERE j.lock = {submission} AND j.status IN ('todo', 'doing')
)"""

# Submissions listed as awaiting review at ``asked_at``. A minute is left for answers that are being stored.
_LISTED = sa.text(f"""
    SELECT listed.id,
           CASE WHEN d.id IS NOT NULL THEN 'undone'
                WHEN EXISTS (SELECT FROM inbox i WHERE i.submission_id = listed.id AND i.readable
                             AND {normalised("i.status")} = '{Status.AWAITING_REVIEW.name}') THEN 'not_reviewed'
                ELSE 'webhook_missed' END AS cause
    FROM unnest(CAST(:listed AS text[])) AS listed (id)
    LEFT JOIN LATERAL {newest_decision("listed.id")} d ON true
    LEFT JOIN LATERAL (
        SELECT n.status, n.at FROM attempts a JOIN answers n ON n.attempt_id = a.id
        WHERE a.decision_id = d.id ORDER BY a.id DESC LIMIT 1
    ) answer ON true
    WHERE {NO_JOB.format(submission="listed.id")}
      AND (d.id IS NULL
           OR answer.status = 'superseded' AND answer.at < :before
           OR answer.status IN ('applied', 'already') AND answer.at < :before
              AND d.outcome IN ('approve', 'reject', 'complete'))
""")  # noqa: S608 - nothing of it comes from outside

# Decisions without a newer one that are not known to have arrived, sent or not.
_PENDING = sa.text(f"""
    SELECT d.submission_id, EXISTS (SELECT FROM attempts a WHERE a.decision_id = d.id) AS sent
    FROM decision_states state JOIN decisions d ON d.id = state.decision_id
    WHERE state.status IN ('{DecisionStatus.PENDING}', '{DecisionStatus.FAILED}')
      AND d.action IS NOT NULL AND d.decided_at > :since AND d.decided_at < :before
      AND {IS_NEWEST}
      AND (state.status = '{DecisionStatus.PENDING}'
           OR EXISTS (SELECT FROM attempts a LEFT JOIN answers n ON n.attempt_id = a.id
                      WHERE a.decision_id = d.id AND {UNCLEAR})
              AND NOT EXISTS (SELECT FROM reviews r WHERE r.submission_id = d.submission_id AND r.hour_began > :lately))
      AND {NO_JOB.format(submission="d.submission_id")}
""")  # noqa: S608

_UNHANDLED = sa.text(f"""
    SELECT DISTINCT new.submission_id AS id
    FROM (
        SELECT submission_id, received_at FROM inbox WHERE handled_at IS NULL
        UNION ALL SELECT submission_id, received_at FROM evidence WHERE handled_at IS NULL
    ) new
    WHERE new.received_at BETWEEN :since AND :before
      AND {NO_JOB.format(submission="new.submission_id")}
""")  # noqa: S608


async def unprocessed_in_list(
    connection: AsyncConnection, listed: Sequence[str], asked_at: datetime
) -> dict[str, Cause]:
    """Return which submissions that Prolific listed at ``asked_at`` as awaiting review need a review, and why."""
    rows = await connection.execute(
        _LISTED, {"listed": list(listed), "before": asked_at - timedelta(minutes=1)}
    )
    return {row.id: Cause(row.cause) for row in rows}


async def missing_from_list(
    connection: AsyncConnection, study: str, listed: Sequence[str], asked_at: datetime
) -> dict[str, Cause]:
    """Return which of a study's submissions await review in the database, although Prolific did not list them.

    Each is returned at most once an hour, so that a wrong list costs little.
    """
    rows = await connection.scalars(
        sa.text(f"""
            SELECT s.id FROM submissions s
            WHERE s.study_id = :study AND s.status = 'AWAITING REVIEW' AND s.seen_at < :before
              AND NOT EXISTS (SELECT FROM unnest(CAST(:listed AS text[])) AS l (id) WHERE l.id = s.id)
              AND NOT EXISTS (SELECT FROM reviews r WHERE r.submission_id = s.id AND r.hour_began > :before)
              AND {NO_JOB.format(submission="s.id")}
            ORDER BY s.seen_at LIMIT 100
        """),  # noqa: S608 - nothing of it comes from outside
        {"study": study, "listed": list(listed), "before": asked_at - timedelta(hours=1)},
    )
    return dict.fromkeys(rows, Cause.GONE)


async def pending_without_job(connection: AsyncConnection, now: datetime) -> dict[str, Cause]:
    """Return decisions pending for more than a minute, and events and evidence without a review.

    A failed decision that may have arrived is returned at most once an hour: Prolific may never show it.
    """
    pending = await connection.execute(
        _PENDING,
        {"since": now - RECENT, "before": now - timedelta(minutes=1), "lately": now - timedelta(hours=1)},
    )
    unhandled = await connection.execute(
        _UNHANDLED, {"since": now - RECENT, "before": now - timedelta(minutes=1)}
    )
    return {row.id: Cause.NOT_REVIEWED for row in unhandled} | {
        row.submission_id: Cause.UNCONFIRMED if row.sent else Cause.NOT_APPLIED for row in pending
    }


async def overdue_timers(connection: AsyncConnection) -> list[str]:
    """Return submissions whose timer should have fired a minute ago and does not exist."""
    rows = await connection.scalars(
        sa.text(f"""
            SELECT s.id FROM decisions d JOIN submissions s ON s.id = d.submission_id
            WHERE d.recheck_at BETWEEN now() - interval '30 days' AND now() - interval '1 minute'
              AND {IS_NEWEST}
              AND s.status = 'AWAITING REVIEW' AND s.seen_at < d.recheck_at
              AND NOT EXISTS (
                  SELECT FROM procrastinate_jobs t WHERE t.queueing_lock = 'timer:' || s.id
                  AND t.status = 'todo'
              )
              AND {NO_JOB.format(submission="s.id")}
        """)  # noqa: S608 - nothing of it comes from outside
    )
    return list(rows)
