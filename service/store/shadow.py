"""Shadow decisions of a second rule folder: recorded beside the decisions, read by backtests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Outcome, Trigger
from service.store.past import CHUNK, DECISION, PastSubmission, past_from
from service.store.tables import shadow_decisions

WINDOW = 1_000  # decisions: transactions that overlap commit their ids in any order
ALONE = "autoreview:shadow"


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    """A shadow decision. ``outcome`` is None if the shadow rules did not decide, ``reason`` says why."""

    decision_id: int
    submission_id: str
    rules_hash: str | None
    outcome: Outcome | None
    rule: str | None
    reason: str
    trace: tuple[dict[str, Any], ...] = ()


_NEWEST = sa.text("SELECT coalesce(max(id), 0) FROM decisions")
_STARTED = sa.text("SELECT max(decision_id) FROM shadow_decisions")
_ALONE = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")

# A person's decisions are no rules' to repeat, and failures have no facts.
_UNDECIDED = sa.text(f"""
    SELECT s.data, s.first_seen_at, {DECISION} AS decision
    FROM decisions d JOIN submissions s ON s.id = d.submission_id
    WHERE d.id > :floor AND d.trigger <> '{Trigger.PERSON}' AND d.rules_hash IS NOT NULL
      AND NOT EXISTS (SELECT FROM shadow_decisions x WHERE x.decision_id = d.id)
    ORDER BY d.id LIMIT :limit
""")  # noqa: S608 - nothing of it comes from outside

_OF_STUDY = sa.text("""
    SELECT s.id, shadow.* FROM submissions s JOIN LATERAL (
        SELECT x.decision_id, x.rules_hash, x.outcome, x.rule, x.reason, x.trace FROM shadow_decisions x
        WHERE x.submission_id = s.id AND x.outcome IS NOT NULL ORDER BY x.decision_id DESC LIMIT 1
    ) shadow ON true
    WHERE s.id = ANY(:ids)
""")

_NEWEST_RULES = sa.text("""
    SELECT x.rules_hash FROM shadow_decisions x JOIN decisions d ON d.id = x.decision_id
    WHERE d.study_id = :study AND x.rules_hash IS NOT NULL ORDER BY x.decision_id DESC LIMIT 1
""")


async def first_floor(connection: AsyncConnection) -> int:
    """Return the decision after which the shadow decides: where it stopped, else the newest one."""
    started: int | None = await connection.scalar(_STARTED)
    if started is not None:
        return max(0, started - WINDOW)
    newest: int = await connection.scalar(_NEWEST)
    return newest


async def is_alone(connection: AsyncConnection) -> bool:
    """Return True in the one process that decides until the transaction ends."""
    return bool(await connection.scalar(_ALONE, {"name": ALONE}))


async def undecided_by_shadow(
    connection: AsyncConnection, floor: int, *, limit: int = CHUNK
) -> list[PastSubmission]:
    """Return decisions of rules without a shadow decision, oldest first."""
    rows = await connection.execute(_UNDECIDED, {"floor": floor, "limit": limit})
    return [past_from(*row) for row in rows]


async def record_shadow(connection: AsyncConnection, decided: Sequence[ShadowDecision]) -> None:
    """Add what the shadow decided; what another process added stays."""
    rows = [asdict(one) | {"trace": list(one.trace)} for one in decided]
    if rows:
        await connection.execute(insert(shadow_decisions).values(rows).on_conflict_do_nothing())


async def shadow_of(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, ShadowDecision]:
    """Return the newest shadow decision of each submission."""
    rows = await connection.execute(_OF_STUDY, {"ids": list(ids)})
    return {
        row["id"]: ShadowDecision(
            row["decision_id"],
            row["id"],
            row["rules_hash"],
            Outcome(row["outcome"]),
            row["rule"],
            row["reason"],
            tuple(row["trace"]),
        )
        for row in rows.mappings()
    }


async def newest_shadow_rules(connection: AsyncConnection, study: str) -> str | None:
    """Return the hash of the shadow's rule file that decided the study last."""
    found: str | None = await connection.scalar(_NEWEST_RULES, {"study": study})
    return found
