"""Requests to evidence sources about submissions: when each is due, and its last result."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

LEASE = timedelta(seconds=60)  # for one attempt; after that its process counts as dead, and it is made again
FOUND, NOT_YET, FAILED = "found", "not_yet", "failed"
LONGEST_REASON = 500  # characters
LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Fetch:
    """The state of asking a source. ``result`` and ``reason`` are None until the first attempt ended.

    ``is_over`` is True when it will not be asked again.
    """

    source: str
    declaration: str
    result: str | None
    reason: str | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class Due:
    """The ``attempts``-th attempt, to make now, after this number of ``failures`` in a row."""

    submission_id: str
    source: str
    declaration: str
    participant_id: str | None
    study_id: str | None
    parent_id: str | None
    status: str | None
    until: datetime
    attempts: int
    failures: int


@dataclass(frozen=True, slots=True)
class FailedCount:
    """The number of submissions about which the last request to a source failed, and the newest failure.

    ``since`` is when the first of these began to fail.
    """

    source: str
    number: int
    since: datetime
    last_at: datetime
    last_reason: str | None


_FAILED_LATELY = sa.text(f"""
    SELECT DISTINCT ON (source) source, count(*) OVER of_source AS number,
           min(coalesce(failed_since, ended_at)) OVER of_source AS since, ended_at AS last_at, reason AS last_reason
    FROM fetches WHERE result = '{FAILED}' AND ended_at > now() - CAST(:within AS interval)
    WINDOW of_source AS (PARTITION BY source)
    ORDER BY source, ended_at DESC
""")  # noqa: S608 - nothing of it comes from outside

# A source whose declaration changed is asked again, because its old results no longer apply.
_ASK = sa.text("""
    INSERT INTO fetches AS f (submission_id, source, declaration, until, due_at)
    SELECT :submission, source, declaration, until, clock_timestamp()
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS new (source text, declaration text, until timestamptz)
    ON CONFLICT (submission_id, source) DO UPDATE SET
        declaration = excluded.declaration, until = excluded.until, due_at = excluded.due_at,
        attempts = 0, failures = 0, result = NULL, reason = NULL, ended_at = NULL, failed_since = NULL
    WHERE f.declaration <> excluded.declaration
""")

# Each source by itself, so that one that hangs keeps none of the others from being asked.
_TAKE = sa.text("""
    WITH due AS (
        SELECT f.submission_id, f.source
        FROM jsonb_each_text(CAST(:free AS jsonb)) AS wanted (source, number) CROSS JOIN LATERAL (
            SELECT submission_id, source FROM fetches
            WHERE source = wanted.source AND due_at <= clock_timestamp()
            ORDER BY due_at LIMIT CAST(wanted.number AS integer) FOR UPDATE SKIP LOCKED
        ) f
    ), taken AS (
        UPDATE fetches f SET due_at = clock_timestamp() + :lease, attempts = attempts + 1
        FROM due WHERE f.submission_id = due.submission_id AND f.source = due.source
        RETURNING f.*
    )
    SELECT t.submission_id, t.source, t.declaration, s.participant_id, s.study_id,
           s.data ->> 'parent_study_id' AS parent_id, s.status, t.until, t.attempts, t.failures
    FROM taken t LEFT JOIN submissions s ON s.id = t.submission_id
    ORDER BY t.ended_at NULLS FIRST
""")

# Only of the attempt that is under way: the result of one that was meanwhile taken for dead is dropped.
_END = sa.text("""
    UPDATE fetches SET
        due_at = CASE WHEN CAST(:after AS interval) IS NULL THEN NULL
                      ELSE least(clock_timestamp() + CAST(:after AS interval), greatest(until, clock_timestamp())) END,
        result = :result, reason = :reason, failures = :failures, ended_at = clock_timestamp(),
        failed_since = CASE WHEN :failures > 0 THEN coalesce(failed_since, clock_timestamp()) END
    WHERE submission_id = :submission AND source = :source AND declaration = :declaration AND attempts = :attempts
""")


_POSTPONE = sa.text("""
    UPDATE fetches SET due_at = clock_timestamp() + :after, attempts = attempts + 1
    WHERE submission_id = :submission AND source = :source AND attempts = :attempts
""")


async def ask_sources(
    connection: AsyncConnection, submission: str, asked: Mapping[str, tuple[str, datetime]]
) -> None:
    """Schedule requests to sources in the transaction. ``asked`` has the declaration and last time by source."""
    rows = [
        {"source": source, "declaration": declaration, "until": until.isoformat()}
        for source, (declaration, until) in asked.items()
    ]
    await connection.execute(_ASK, {"submission": submission, "asked": json.dumps(rows)})


async def take_due(connection: AsyncConnection, free: Mapping[str, int]) -> list[Due]:
    """Take due attempts, a given number of each source. They are due again if they don't end in time."""
    rows = await connection.execute(_TAKE, {"free": json.dumps(dict(free)), "lease": LEASE})
    return [Due(**row) for row in rows.mappings()]


async def end_fetch(
    connection: AsyncConnection, due: Due, result: str, reason: str | None, *, after: timedelta | None
) -> bool:
    """Record the result of an attempt. The next one is due ``after`` this time, None: no more.

    Return False if another process has made the attempt meanwhile.
    """
    values: dict[str, Any] = {
        "submission": due.submission_id,
        "source": due.source,
        "declaration": due.declaration,
        "attempts": due.attempts,
        "result": result,
        "reason": reason[:LONGEST_REASON] if reason else None,
        "failures": due.failures + 1 if result == FAILED else 0,
        "after": after,
    }
    ended = await connection.execute(_END, values)
    return ended.rowcount == 1


async def failed_lately(connection: AsyncConnection, within: timedelta = LATELY) -> list[FailedCount]:
    """Count by source the submissions whose last request failed within this time."""
    rows = await connection.execute(_FAILED_LATELY, {"within": within})
    return [FailedCount(**row) for row in rows.mappings()]


async def postpone_fetch(connection: AsyncConnection, due: Due, after: timedelta) -> None:
    """Postpone an attempt that was not made."""
    values = {"submission": due.submission_id, "source": due.source, "attempts": due.attempts, "after": after}
    await connection.execute(_POSTPONE, values)
