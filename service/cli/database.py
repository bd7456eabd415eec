"""Access of commands to the service's database, to read or to change something."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from service.console.output import echo
from service.errors import ConfigurationError, DatabaseError
from service.postgres.database import ERROR_HINTS, Database
from service.postgres.explanation import explained
from service.postgres.where import SET, NotAtWork, external_url, has_data, service_url, stopped_database
from service.settings import Settings
from service.store.workers import FRESH, heartbeat_age

STARTING = 2.0  # seconds

Result = TypeVar("Result")


def ask(question: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Run a query on the database: the one that is set, the running service's, or the stopped one in the folder.

    Raise ConfigurationError where there is no database, or an argument is no text.
    """

    async def put(database: Database) -> Result:
        async with database.begin() as connection:
            return await question(connection)

    return with_database(put)


def order(work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Write an order to the service in one transaction. Raise NotAtWork where no service would obey it."""

    async def put(database: Database) -> Result:
        async with database.begin() as connection:
            return await work(connection)

    return with_service(put)


def with_database(work: Callable[[Database], Awaitable[Result]]) -> Result:
    """As ``ask``, but for work that takes a transaction for each of its steps."""
    with command_database(Settings.from_environment()) as url:
        return _run(url, work)


def with_service(work: Callable[[Database], Awaitable[Result]]) -> Result:
    """As ``order``, but for work that takes a transaction for each of its steps."""
    settings = Settings.from_environment()
    url = service_url(settings)
    if url is None:
        raise NotAtWork(_idle(settings))

    async def checked(database: Database) -> Result:
        # An address may lead to a replica of the database, where each order would fail with an error of
        # PostgreSQL.
        if not await database.takes_writes():
            raise DatabaseError(f"{ERROR_HINTS['read_only'].capitalize()}. Use the primary server.")
        # Without a worker the order would wait, and be carried out days later by the next one.
        if not await _is_at_work(database):
            raise NotAtWork(_idle(settings))
        return await work(database)

    with explained():
        return _run(url, checked)


@contextmanager
def command_database(settings: Settings) -> Iterator[str]:
    """Yield the database for a command that only reads. Report on stderr if no service is at work."""
    if url := service_url(settings):
        with explained():
            yield url
        return
    with stopped_database(settings) as url:
        folder = settings.data_dir.absolute()
        echo(f"No service is at work on {folder}: its database runs for this command only.", err=True)
        yield url


async def _is_at_work(database: Database) -> bool:
    """Return True if a worker has a fresh heartbeat. A starting worker gets a moment for its first one."""
    deadline = time.monotonic() + STARTING
    while True:
        async with database.connect() as connection:
            age = await heartbeat_age(connection)
        if age is not None and age <= FRESH:
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)


def _run(url: str, work: Callable[[Database], Awaitable[Result]]) -> Result:
    async def at_work() -> Result:
        database = Database(url, pool_size=1)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(at_work())
    # Arguments that are no UTF-8 arrive as lone surrogates, which PostgreSQL refuses.
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{error.object!r} is no UTF-8 text, so nothing can be kept under it."
        ) from None


def _idle(settings: Settings) -> str:
    """Return the message that no service is at work, where, and what to set to reach it."""
    if external_url(settings):
        return (
            "No service is at work on the database of AUTOREVIEW_DATABASE_URL: no worker reported in the last "
            f"{FRESH.total_seconds():.0f} s (`serve --only web` decides nothing). Nothing was done. Start a worker "
            "with `autoreview serve`, or set AUTOREVIEW_DATABASE_URL, or AUTOREVIEW_DATA_DIR, to that of the service."
        )
    folder = settings.data_dir.absolute()
    empty = "" if has_data(settings.data_dir) else ", which has no database"
    return (
        f"No service is at work on the data folder {folder}{empty}. Nothing was done. "
        f"Start it with `autoreview serve`. Or is it at work elsewhere? {SET}"
    )
