"""What a process does now and then until its end, whatever goes wrong meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.postgres.database import ERROR_HINTS, kind_of

BACK_OFF = 5.0  # seconds at least until the next look, after trouble of the database

log = structlog.get_logger(__name__)


async def run_every(name: str, every: float, look: Callable[[], Awaitable[object]]) -> None:
    """Look ``every`` so many seconds until cancelled; ``name`` is what the log calls it.

    Known kinds of the database's trouble are told by ``Database`` and by readyz: here they are waited for.
    """
    no_database, crashed = f"{name}.no_database", f"{name}.crashed"
    while True:
        pause = every
        try:
            await look()
        except Exception as error:
            if kind_of(error) in ERROR_HINTS:
                log.debug(no_database, why=str(error))
                pause = max(every, BACK_OFF)
            else:
                log.exception(crashed)
        await asyncio.sleep(pause)
