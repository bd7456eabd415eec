"""Dashboard sessions that were signed out: their cookies, if somebody kept one, are worth nothing from then on."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import sign_outs


async def sign_out(connection: AsyncConnection, session: str, until: float) -> None:
    """End a session that would last ``until`` (seconds since 1970), and forget those that have expired."""
    await connection.execute(sa.delete(sign_outs).where(sign_outs.c.until < sa.func.now()))
    row = {"session_id": session, "until": datetime.fromtimestamp(until, UTC)}
    await connection.execute(insert(sign_outs).values(row).on_conflict_do_nothing())


async def is_signed_out(connection: AsyncConnection, session: str) -> bool:
    """Return True if the session was signed out."""
    found = await connection.scalar(
        sa.select(sa.exists().where(sign_outs.c.session_id == session)),
    )
    return bool(found)
