"""The outbox of notifications: rows are written once per kind and key, sent afterwards, and retried."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.decisions import IS_NEWEST
from service.store.submissions import PARENT_OF
from service.store.tables import notices

TRIES = 28  # after 2, 4, 8, 16, 32 minutes, then every hour: a day

_CLAIM = sa.text("""
    UPDATE notices SET tries = tries + 1, due_at = now() + least(60, power(2, tries + 1)) * interval '1 minute'
    WHERE id IN (
        SELECT id FROM notices WHERE sent_at IS NULL AND due_at <= now() AND tries < :tries
        ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, key, title, text, at, tries
""")

_UNREPORTED_PAUSES = sa.text("""
    SELECT id, at, study_id, kind, guard, reason FROM brakes b
    WHERE NOT EXISTS (SELECT FROM notices n WHERE n.kind IN ('breaker', 'paused', 'resumed') AND n.key = b.id::text)
    ORDER BY id
""")

# Settled by the fetch that follows a refusal, a decision is no failure: a few seconds are left for that.
_UNREPORTED_FAILURES = sa.text(f"""
    SELECT answer.attempt_id, d.submission_id, d.study_id, d.outcome, answer.status_code
    FROM decision_states state
    JOIN answers answer ON answer.attempt_id = state.attempt_id JOIN decisions d ON d.id = state.decision_id
    WHERE state.status = 'failed' AND answer.at BETWEEN now() - interval '30 days' AND now() - interval '5 seconds'
      AND {IS_NEWEST}
      AND NOT EXISTS (SELECT FROM notices n WHERE n.kind = 'failed' AND n.key = state.attempt_id::text)
    ORDER BY answer.attempt_id
""")  # noqa: S608 - nothing of it comes from outside

_ACTIVE_STUDIES = sa.text(f"""
    SELECT s.id, {PARENT_OF.format(study="s.id")} AS parent_id FROM studies s
    WHERE upper(s.data ->> 'status') = 'ACTIVE' AND EXISTS (SELECT FROM submissions WHERE study_id = s.id)
    ORDER BY s.id
""")  # noqa: S608 - nothing of it comes from outside


_UNCLAIMED_STUDIES = sa.text("""
    SELECT s.study_id AS id, max(s.data ->> 'parent_study_id') AS parent_id, count(*) AS number,
           min(s.first_seen_at) AS since
    FROM submissions s
    WHERE NOT s.claimed AND s.status = 'AWAITING REVIEW' AND s.study_id IS NOT NULL
      AND s.first_seen_at < now() - CAST(:stays AS interval)
      AND NOT EXISTS (SELECT FROM notices n WHERE n.kind = 'unclaimed' AND n.key = s.study_id)
    GROUP BY s.study_id
    ORDER BY s.study_id
""")


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification to send now, for the ``tries``-th time."""

    id: int
    kind: str
    key: str
    title: str
    text: str
    at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class UnreportedPause:
    """A pause, a resume or a breaker (``kind``) without a notification."""

    id: int
    at: datetime
    study_id: str | None
    kind: str
    guard: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class UnreportedFailure:
    """A failed decision without a notification. ``status_code`` is Prolific's, None without an answer."""

    attempt_id: int
    submission_id: str
    study_id: str | None
    outcome: str
    status_code: int | None


@dataclass(frozen=True, slots=True)
class UnclaimedStudy:
    """A study that no rule file names, with the number of its submissions that await review."""

    id: str
    parent_id: str | None
    number: int
    since: datetime


async def add_notification(
    connection: AsyncConnection,
    kind: str,
    key: str,
    title: str,
    text: str,
    *,
    every: timedelta = timedelta(0),
) -> None:
    """Write a notification, to be sent after the commit. Do nothing if this kind and key exist already.

    With ``every``, notifications of the kind are collected and sent together, this long after the last message.
    """
    last = sa.select(sa.func.max(notices.c.sent_at)).where(notices.c.kind == kind).scalar_subquery()
    due_at = sa.func.greatest(sa.func.now(), last + every)  # GREATEST ignores NULL
    new = insert(notices).values(kind=kind, key=key, title=title, text=text, due_at=due_at)
    # Every process checks the same conditions: the first one writes.
    await connection.execute(new.on_conflict_do_nothing(index_elements=["kind", "key"]))


async def was_notified(connection: AsyncConnection, kind: str, key: str) -> bool:
    found = await connection.scalar(
        sa.select(sa.exists().where(notices.c.kind == kind, notices.c.key == key))
    )
    return bool(found)


async def newest_of(connection: AsyncConnection, *kinds: str) -> tuple[int, datetime | None]:
    """Return the id and time of the newest notification of these kinds, 0 and None without one."""
    rows = await connection.execute(
        sa.select(notices.c.id, notices.c.at)
        .where(notices.c.kind.in_(kinds))
        .order_by(notices.c.id.desc())
        .limit(1)
    )
    row = rows.one_or_none()
    return (row.id, row.at) if row else (0, None)


async def claim_due(connection: AsyncConnection) -> list[Notification]:
    """Return the notifications to send now, oldest first.

    Each is scheduled for a retry at once, so that none is lost if the process is killed while it sends. One that
    was sent and not marked with ``mark_sent`` is sent twice.
    """
    rows = await connection.execute(_CLAIM, {"tries": TRIES})
    return sorted((Notification(**row) for row in rows.mappings()), key=lambda notification: notification.id)


async def mark_sent(connection: AsyncConnection, sent: list[Notification]) -> None:
    """Mark notifications as sent, as one message."""
    ids = [notification.id for notification in sent]
    await connection.execute(sa.update(notices).where(notices.c.id.in_(ids)).values(sent_at=sa.func.now()))


async def sent_lately(connection: AsyncConnection) -> tuple[int, timedelta | None]:
    """Return how many messages were sent within the last hour, and how long ago the last one was."""
    last = sa.func.max(notices.c.sent_at)
    row = await connection.execute(
        # Two times instead of an interval: behind an older PgBouncer psycopg can't know the style in which one arrives.
        sa.select(sa.func.count(notices.c.sent_at.distinct()), last, sa.func.now()).where(
            notices.c.sent_at > sa.func.now() - timedelta(hours=1)
        )
    )
    number, last_sent, now = row.one()
    return number, now - last_sent if last_sent else None


async def unreported_pauses(connection: AsyncConnection) -> list[UnreportedPause]:
    """Return pauses, resumes and breakers without a notification, oldest first."""
    rows = await connection.execute(_UNREPORTED_PAUSES)
    return [UnreportedPause(**row) for row in rows.mappings()]


async def unreported_failures(connection: AsyncConnection) -> list[UnreportedFailure]:
    """Return decisions that failed in the last 30 days, without a notification."""
    rows = await connection.execute(_UNREPORTED_FAILURES)
    return [UnreportedFailure(**row) for row in rows.mappings()]


async def active_studies(connection: AsyncConnection) -> dict[str, str | None]:
    """Return the studies with submissions that were ACTIVE when last seen, each with its parent."""
    rows = await connection.execute(_ACTIVE_STUDIES)
    return {row.id: row.parent_id for row in rows}


async def unclaimed_studies(connection: AsyncConnection, stays: timedelta) -> list[UnclaimedStudy]:
    """Return studies without rules whose submissions await review for this long, without a notification."""
    rows = await connection.execute(_UNCLAIMED_STUDIES, {"stays": stays})
    return [UnclaimedStudy(**row) for row in rows.mappings()]
