"""Periodic work, once for all replicas: which process runs it, and what came of its last run."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import turns


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of periodic work; ``ended_at`` is None while it goes on, ``said`` is what came of it."""

    began_at: datetime
    ended_at: datetime | None
    said: dict[str, Any] | None


async def claim(connection: AsyncConnection, name: str, every: timedelta) -> bool:
    """Start a run if it is due, and return True; of several processes that ask at once, one gets True.

    Times are the database's. A run that never ended, because its process was killed, delays no later one; nor does
    one that began in the future, because a clock was set back.
    """
    # Not ``now()``, which is when our transaction began: a run that another process began meanwhile began later than that.
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
    """Record the end of a run; ``said`` is what came of it."""
    await connection.execute(
        sa.update(turns).where(turns.c.name == name).values(ended_at=sa.func.now(), said=said)
    )


async def last_run(connection: AsyncConnection, name: str) -> Run | None:
    """Return the last run of this work, None if there was none."""
    rows = await connection.execute(
        sa.select(turns.c.began_at, turns.c.ended_at, turns.c.said).where(turns.c.name == name)
    )
    row = rows.mappings().one_or_none()
    return Run(**row) if row else None


async def last_result(connection: AsyncConnection, name: str) -> tuple[datetime | None, dict[str, Any]]:
    """Return when the last run ended, and what came of it."""
    run = await last_run(connection, name)
    return (run.ended_at, run.said or {}) if run else (None, {})
