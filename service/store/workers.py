"""The workers that are at work, by their heartbeats."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

FRESH = timedelta(seconds=30)  # how old a worker's last heartbeat may be


async def heartbeat_age(connection: AsyncConnection) -> timedelta | None:
    """Return the age of the newest heartbeat by the database's clock; None without a worker."""
    found: timedelta | None = await connection.scalar(
        sa.text("SELECT clock_timestamp() - max(last_heartbeat) FROM procrastinate_workers")
    )
    return found
