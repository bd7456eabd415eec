"""The results of each rule in the newest decisions, from their traces."""

from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

MOST_DECISIONS = 2000  # the newest, of all files

_NEWEST = f"""
    SELECT rules_hash, trace FROM decisions
    WHERE decided_at > now() - CAST(:within AS interval) AND trigger <> 'person' AND rules_hash IS NOT NULL
    ORDER BY decided_at DESC LIMIT {MOST_DECISIONS}
"""  # noqa: S608 - nothing of it comes from outside

_RESULTS = sa.text(f"""
    SELECT d.rules_hash, e ->> 'rule' AS rule, e ->> 'result' AS result, count(*) AS number
    FROM ({_NEWEST}) AS d CROSS JOIN LATERAL jsonb_array_elements(d.trace) AS e GROUP BY 1, 2, 3
""")  # noqa: S608

_UNKNOWN = sa.text(f"""
    SELECT d.rules_hash, e ->> 'rule' AS rule, v.key AS fact, count(*) AS number
    FROM ({_NEWEST}) AS d CROSS JOIN LATERAL jsonb_array_elements(d.trace) AS e
    CROSS JOIN LATERAL jsonb_each(e -> 'values') AS v
    WHERE e ->> 'result' = 'unknown' AND v.value = 'null' GROUP BY 1, 2, 3 ORDER BY number DESC
""")  # noqa: S608

_DECISIONS = sa.text(f"SELECT rules_hash, count(*) AS number FROM ({_NEWEST}) AS d GROUP BY 1")  # noqa: S608


@dataclass(slots=True)
class RuleFigures:
    """The results of a rule, counted. ``unknown_because`` counts by the missing fact."""

    results: dict[str, int] = field(default_factory=dict)
    unknown_because: dict[str, int] = field(default_factory=dict)

    def number(self, result: str) -> int:
        return self.results.get(result, 0)

    @property
    def asked(self) -> int:
        return sum(self.results.values())


@dataclass(slots=True)
class FileFigures:
    """A version of a rule file: the number of its decisions, and the results of its rules."""

    decisions: int = 0
    rules: dict[str, RuleFigures] = field(default_factory=dict)


async def rule_figures(connection: AsyncConnection, within: timedelta) -> dict[str, FileFigures]:
    """Return the figures of each version of a rule file by its hash, over the newest decisions of this time."""
    found: dict[str, FileFigures] = {}
    values = {"within": within}
    for row in await connection.execute(_DECISIONS, values):
        found.setdefault(row.rules_hash, FileFigures()).decisions = row.number
    for row in await connection.execute(_RESULTS, values):
        _rule(found, row.rules_hash, row.rule).results[row.result] = row.number
    for row in await connection.execute(_UNKNOWN, values):
        _rule(found, row.rules_hash, row.rule).unknown_because[row.fact] = row.number
    return found


def _rule(found: dict[str, FileFigures], rules_hash: str, rule: str) -> RuleFigures:
    return found.setdefault(rules_hash, FileFigures()).rules.setdefault(rule, RuleFigures())
