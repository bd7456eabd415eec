"""The schedule of periodic runs, once for all replicas: which process runs them, and the last result."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import turns


@dataclass(frozen=True, slots=True)
class Run:
    """The last periodic run. ``ended_at`` is None while it runs."""

    began_at: datetime
    ended_at: datetime | None
    result: dict[str, Any] | None


async def claim(connection: AsyncConnection, name: str, every: timedelta) -> bool:
    """Start a run if it is due, and return True. Of several processes at once, one gets True.

    The database's clock decides. A run that never ended because its process was killed does not delay the next,
    nor does one that began in the future because a clock was set back.
    """
    # Not ``now()``, the start of our transaction: another process may have started the run after that.
    elapsed = sa.func.clock_timestamp() - turns.c.began_at
    new = insert(turns).values(name=name)
    taken = await connection.execute(
        new.on_conflict_do_update(
            index_elements=[turns.c.name],
            set_={"began_at": sa.func.now(), "ended_at": None},
            where=sa.or_(elapsed >= every, elapsed < timedelta(0)),
        ).returning(turns.c.name)
    )
    return taken.scalar_one_or_none() is not None


async def finish(connection: AsyncConnection, name: str, result: dict[str, Any]) -> None:
    """Record the end of a run and its result."""
    await connection.execute(
        sa.update(turns).where(turns.c.name == name).values(ended_at=sa.func.now(), said=result)
    )


async def last_run(connection: AsyncConnection, name: str) -> Run | None:
    """Return the last run of this name, None if there was none."""
    rows = await connection.execute(
        sa.select(turns.c.began_at, turns.c.ended_at, turns.c.said.label("result")).where(
            turns.c.name == name
        )
    )
    row = rows.mappings().one_or_none()
    return Run(**row) if row else None


async def last_result(connection: AsyncConnection, name: str) -> tuple[datetime | None, dict[str, Any]]:
    """Return when the last run ended, and its result."""
    run = await last_run(connection, name)
    return (run.ended_at, run.result or {}) if run else (None, {})
