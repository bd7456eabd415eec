"""Periodic runs in a process. An error never ends them."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.postgres.database import ERROR_HINTS, error_kind

BACK_OFF = 5.0  # seconds at least until the next run, after an error of the database

log = structlog.get_logger(__name__)


async def run_every(name: str, every: float, run: Callable[[], Awaitable[object]]) -> None:
    """Run ``every`` so many seconds until cancelled. ``name`` is the prefix of its log events."""
    no_database, crashed = f"{name}.no_database", f"{name}.crashed"
    while True:
        pause = every
        try:
            await run()
        except Exception as error:
            if error_kind(error) in ERROR_HINTS:  # Database logs these, and readyz reports them
                log.debug(no_database, why=str(error))
                pause = max(every, BACK_OFF)
            else:
                log.exception(crashed)
        await asyncio.sleep(pause)
