"""The queue of held submissions as the dashboard shows it: oldest first, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.decisions import held_since
from service.store.holds import IS_HELD, NEWEST_IS_HOLD, deadline, filtered
from service.store.tables import COMPLETED

MOST_SELECTED = 10_000
_COMPLETED = COMPLETED.replace("data", "s.data")


@dataclass(frozen=True, slots=True)
class QueuedHold:
    """A held submission. ``mark`` is where a page after it begins; ``reward`` is in minor units."""

    submission_id: str
    study_id: str | None
    study: str | None
    participant_id: str | None
    decision_id: int
    guard: str | None
    rule: str | None
    proposed: str
    reason: str
    by: str | None
    reward: int | None
    since: datetime
    completed_at: datetime
    mark: str

    @property
    def deadline(self) -> datetime:
        return deadline(self.completed_at)


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds; empty means all."""

    study: str | None = None
    rule: str | None = None
    guard: str | None = None
    submission: str | None = None

    def values(self) -> dict[str, str | None]:
        return {
            "study": self.study,
            "rule": self.rule,
            "guard": self.guard,
            "submission": self.submission,
        }


_HELD = f"""
    FROM submissions s {NEWEST_IS_HOLD} LEFT JOIN studies t ON t.id = s.study_id
    WHERE {IS_HELD} AND {{of_submission}} AND {{of_decision}}
"""

# By completion, as Prolific's deadline is: the most urgent is on top.
_PAGE = f"""
    SELECT s.id AS submission_id, s.study_id, t.data ->> 'name' AS study, s.participant_id, d.id AS decision_id,
           d.guard, d.rule, d.proposed, d.reason, d.by, CAST(t.data ->> 'reward' AS bigint) AS reward,
           {held_since("s.id")} AS since, {_COMPLETED} AS mark,
           coalesce(CAST(s.data ->> 'completed_at' AS timestamptz), s.first_seen_at) AS completed_at
    {_HELD}
      AND ({_COMPLETED}, s.id) > (CAST(:after AS text), CAST(:after_id AS text))
    ORDER BY {_COMPLETED}, s.id LIMIT :limit
"""

_MATCHING = f"""
    SELECT s.id, d.id AS seen {_HELD}
      AND NOT EXISTS (SELECT FROM planned_decisions p WHERE p.submission_id = s.id AND p.ended_at IS NULL)
    ORDER BY {_COMPLETED}, s.id LIMIT {MOST_SELECTED}
"""  # noqa: S608

_OF_THESE = f"""
    SELECT s.id, d.id AS seen {_HELD} AND s.id = ANY(:ids) ORDER BY {_COMPLETED}, s.id
"""


async def hold_page(
    connection: AsyncConnection, wanted: HoldFilter, *, limit: int, after: tuple[str, str] = ("", "")
) -> list[QueuedHold]:
    """Return held submissions, oldest first, after the ``(mark, submission)`` of a page before."""
    values = wanted.values() | {"limit": limit, "after": after[0], "after_id": after[1]}
    rows = await connection.execute(filtered(_PAGE, wanted.values()), values)
    return [QueuedHold(**row) for row in rows.mappings()]


async def matching_holds(connection: AsyncConnection, wanted: HoldFilter) -> dict[str, int]:
    """Return all submissions that the filter matches now, each with its newest decision, the oldest first."""
    rows = await connection.execute(filtered(_MATCHING, wanted.values()), wanted.values())
    return {row.id: row.seen for row in rows}


async def held_of(connection: AsyncConnection, submissions: Sequence[str]) -> dict[str, int]:
    """Return which of the submissions are held, each with its newest decision."""
    rows = await connection.execute(filtered(_OF_THESE, {}), {"ids": list(submissions)})
    return {row.id: row.seen for row in rows}


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of submissions and their cost in minor units. ``unknown`` counts those without a known reward."""

    number: int
    reward: Decimal
    unknown: int


_SUM = sa.text("""
    SELECT count(*) AS number, coalesce(sum(CAST(t.data ->> 'reward' AS numeric)), 0) AS reward,
           count(*) FILTER (WHERE t.data ->> 'reward' IS NULL) AS unknown
    FROM submissions s LEFT JOIN studies t ON t.id = s.study_id WHERE s.id = ANY(:ids)
""")


async def sum_of(connection: AsyncConnection, submissions: Sequence[str]) -> Sum:
    """Count the submissions and add up their rewards."""
    row: Any = (await connection.execute(_SUM, {"ids": list(submissions)})).mappings().one()
    return Sum(**row)
