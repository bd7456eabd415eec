"""Figures of one study, bounded by what it shows: its newest decisions and submissions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.statistics import TIME_TAKEN

MOST_DECISIONS = 5000
MOST_TIMES = 2000
MOST_LATENCIES = 500


@dataclass(frozen=True, slots=True)
class OutcomeOfRule:
    """The number of submissions that a rule (None: no rule) led to an outcome, by their newest decision."""

    rule: str | None
    outcome: str
    guard: str | None
    number: int


_BY_RULE = sa.text(f"""
    SELECT rule, outcome, guard, count(*) AS number
    FROM (
        SELECT DISTINCT ON (submission_id) rule, outcome, guard
        FROM (SELECT submission_id, id, rule, outcome, guard FROM decisions WHERE study_id = :study
              ORDER BY id DESC LIMIT {MOST_DECISIONS}) AS d
        ORDER BY submission_id, id DESC
    ) AS newest
    GROUP BY 1, 2, 3 ORDER BY number DESC, rule, outcome
""")  # noqa: S608 - nothing of it comes from outside


async def outcomes_by_rule(connection: AsyncConnection, study: str) -> list[OutcomeOfRule]:
    """Count a study's submissions by the rule and the outcome of their newest decision."""
    rows = await connection.execute(_BY_RULE, {"study": study})
    return [OutcomeOfRule(**row) for row in rows.mappings()]


async def status_counts(connection: AsyncConnection, study: str) -> dict[str, int]:
    """Count a study's submissions by their status at Prolific."""
    rows = await connection.execute(
        sa.text(
            "SELECT status, count(*) AS number FROM submissions WHERE study_id = :study GROUP BY 1 ORDER BY 2 DESC"
        ),
        {"study": study},
    )
    return {row.status: row.number for row in rows}


_TIMES = sa.text(f"""
    SELECT taken FROM (
        SELECT {TIME_TAKEN} AS taken
        FROM (SELECT data FROM submissions WHERE study_id = :study ORDER BY first_seen_at DESC LIMIT {MOST_TIMES}) AS s
        WHERE data ->> 'completed_at' IS NOT NULL
    ) AS times WHERE taken IS NOT NULL
""")  # noqa: S608


async def times_taken(connection: AsyncConnection, study: str) -> Sequence[float]:
    """Return the times, in seconds, of the newest submissions."""
    return list(await connection.scalars(_TIMES, {"study": study}))


@dataclass(frozen=True, slots=True)
class Latency:
    """Return the seconds from webhook to decision, over the newest decisions that a webhook triggered."""

    number: int
    median: float | None
    p95: float | None


_LATENCY = sa.text(f"""
    SELECT count(seconds) AS number, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95
    FROM (
        SELECT extract(epoch FROM d.decided_at - (
            SELECT max(received_at) FROM inbox e WHERE e.submission_id = d.submission_id AND e.received_at <= d.decided_at
        ))::double precision AS seconds
        FROM (SELECT submission_id, decided_at, trigger FROM decisions WHERE study_id = :study
              ORDER BY id DESC LIMIT {MOST_LATENCIES}) AS d
        WHERE d.trigger = 'webhook'
    ) AS waits
""")  # noqa: S608


async def latency(connection: AsyncConnection, study: str) -> Latency:
    """Return how long decisions took from their webhook."""
    row: Any = (await connection.execute(_LATENCY, {"study": study})).mappings().one()
    return Latency(**row)
