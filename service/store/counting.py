"""Counting decisions against limits: automatic ones, once recorded, applied or not; waiting and observed ones not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Guard, Mode, Outcome, Trigger
from service.store.tables import decisions

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Window:
    """The decisions that count: those of ``study`` (None: of all studies) with an id above ``after``."""

    study: str | None
    after: int

    def condition(self) -> sa.ColumnElement[bool]:
        return sa.and_(
            decisions.c.study_id == self.study if self.study is not None else sa.true(),
            decisions.c.id > self.after,
            decisions.c.trigger != Trigger.PERSON.value,
            decisions.c.mode != Mode.OBSERVE.value,
            decisions.c.guard.is_distinct_from(Guard.WAITING.value),
        )


async def newest_outcomes(connection: AsyncConnection, window: Window, number: int) -> list[Outcome]:
    """The outcomes of the last ``number`` decisions, newest first."""
    rows = await connection.scalars(
        sa.select(decisions.c.outcome).where(window.condition()).order_by(decisions.c.id.desc()).limit(number)
    )
    return [Outcome(row) for row in rows]


async def number_in_a_day(
    connection: AsyncConnection, window: Window, outcome: Outcome, now: datetime
) -> int:
    """How many decisions of this outcome there were in the 24 hours before ``now``."""
    found = await connection.scalar(
        sa.select(sa.func.count()).where(
            window.condition(), decisions.c.outcome == outcome.value, decisions.c.decided_at > now - DAY
        )
    )
    return found or 0


async def reward_in_a_day(connection: AsyncConnection, window: Window, now: datetime) -> Decimal:
    """What was approved or completed in the 24 hours before ``now``, in minor units.

    A completion counts with its share of the reward where it has one, else as a whole.
    """
    reward = decisions.c.facts["study"]["reward"].astext.cast(sa.Numeric)
    share = decisions.c.action["body"]["completion_code_data"]["percentage_of_reward"].astext.cast(sa.Numeric)
    pays = [Outcome.APPROVE.value, Outcome.COMPLETE.value]
    found = await connection.scalar(
        sa.select(sa.func.sum(reward * sa.func.coalesce(share, 100) / 100)).where(
            window.condition(), decisions.c.outcome.in_(pays), decisions.c.decided_at > now - DAY
        )
    )
    return Decimal(found or 0)
