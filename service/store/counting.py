"""Counts of decisions for limits: each submission once, by its newest automatic decision.

A decision counts once it is recorded, applied or not. Waiting, observed and manual ones don't.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Guard, Mode, Outcome, Trigger
from service.store.tables import decisions

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Window:
    """The submissions that count: those of ``study`` (None: of all studies) except ``without``.

    The newest decision of each with an id above ``after`` counts.
    """

    study: str | None
    after: int
    without: str

    def newest(self) -> sa.Select[Any]:
        """Select the outcome of the newest counting decision of each submission."""
        newer = decisions.alias()
        return sa.select(decisions.c.outcome).where(
            decisions.c.study_id == self.study if self.study is not None else sa.true(),
            decisions.c.submission_id != self.without,
            self._counts(decisions),
            ~sa.exists().where(
                newer.c.submission_id == decisions.c.submission_id,
                newer.c.id > decisions.c.id,
                self._counts(newer),
            ),
        )

    def _counts(self, decision: sa.FromClause) -> sa.ColumnElement[bool]:
        return sa.and_(
            decision.c.id > self.after,
            decision.c.study_id.is_not(None),  # null: a review that failed
            # A person may reject as many as they like, and must not use up the limit of the rules.
            decision.c.trigger != Trigger.PERSON.value,
            decision.c.mode != Mode.OBSERVE.value,
            decision.c.guard.is_distinct_from(Guard.WAITING.value),
        )


async def newest_outcomes(connection: AsyncConnection, window: Window, number: int) -> tuple[Outcome, ...]:
    """Return the outcomes of the last ``number`` submissions that were decided, newest first."""
    rows = await connection.scalars(window.newest().order_by(decisions.c.id.desc()).limit(number))
    return tuple(Outcome(row) for row in rows)


async def number_in_a_day(
    connection: AsyncConnection, window: Window, outcome: Outcome, now: datetime
) -> int:
    """Count the submissions whose newest decision is of this outcome and not older than 24 hours."""
    newest = window.newest().where(decisions.c.outcome == outcome.value, decisions.c.decided_at > now - DAY)
    return await connection.scalar(sa.select(sa.func.count()).select_from(newest.subquery())) or 0


async def reward_in_a_day(connection: AsyncConnection, window: Window, now: datetime) -> Decimal:
    """Sum the rewards approved or completed in the last 24 hours, in minor units."""
    reward = decisions.c.facts["study"]["reward"].astext.cast(sa.Numeric)
    share = decisions.c.action["body"]["completion_code_data"]["percentage_of_reward"].astext.cast(sa.Numeric)
    # A completion pays a share of the reward, or all of it if it names none.
    pays = [Outcome.APPROVE.value, Outcome.COMPLETE.value]
    paid = (
        window.newest()
        .with_only_columns((reward * sa.func.coalesce(share, 100) / 100).label("paid"))
        .where(decisions.c.outcome.in_(pays), decisions.c.decided_at > now - DAY)
        .subquery()
    )
    return Decimal(await connection.scalar(sa.select(sa.func.sum(paid.c.paid))) or 0)
