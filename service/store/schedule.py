"""Work that is done now and then: whose turn it is among all replicas, and what came of it last."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import turns


async def claim(connection: AsyncConnection, name: str, every: timedelta) -> bool:
    """Whether it is time for this work, and ours to do: of all that ask at once, one gets True.

    Times are the database's. Work that was begun and never ended, its process killed, is due as any other; so is
    work that began later than now, the clock having been set back.
    """
    # Not ``now()``, which is when our transaction began: who took the turn meanwhile would be ahead of us.
    went_by = sa.func.clock_timestamp() - turns.c.began_at
    new = insert(turns).values(name=name)
    taken = await connection.execute(
        new.on_conflict_do_update(
            index_elements=[turns.c.name],
            set_={"began_at": sa.func.now(), "ended_at": None},
            where=sa.or_(went_by >= every, went_by < timedelta(0)),
        ).returning(turns.c.name)
    )
    return taken.scalar_one_or_none() is not None


async def finish(connection: AsyncConnection, name: str, said: dict[str, Any]) -> None:
    """The work is done; ``said`` is what came of it."""
    await connection.execute(
        sa.update(turns).where(turns.c.name == name).values(ended_at=sa.func.now(), said=said)
    )


async def last_run(connection: AsyncConnection, name: str) -> dict[str, Any] | None:
    """``began_at``, ``ended_at`` (None while it goes on) and what was ``said`` last; None if there was none."""
    rows = await connection.execute(
        sa.select(turns.c.began_at, turns.c.ended_at, turns.c.said).where(turns.c.name == name)
    )
    row = rows.mappings().one_or_none()
    return dict(row) if row else None


async def last_result(connection: AsyncConnection, name: str) -> tuple[datetime | None, dict[str, Any]]:
    """When the work ended last, and what came of it."""
    row = await last_run(connection, name)
    return (row["ended_at"], row["said"] or {}) if row else (None, {})
