"""Putting questions to the service's database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import ConfigurationError
from service.postgres.database import Database
from service.postgres.where import command_database
from service.settings import Settings

Result = TypeVar("Result")


def ask(question: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Put a question, or an order, to the database: the one that is set, the running service's, or the folder's own.

    It is one transaction, committed if nothing goes wrong. Raises ConfigurationError where an argument is no text.
    """

    async def put(database: Database) -> Result:
        async with database.begin() as connection:
            return await question(connection)

    return with_database(put)


def with_database(work: Callable[[Database], Awaitable[Result]]) -> Result:
    """As ``ask``, but for work that takes a transaction for each of its steps."""

    async def at_work(url: str) -> Result:
        database = Database(url, pool_size=1)
        try:
            return await work(database)
        finally:
            await database.close()

    with command_database(Settings.from_environment()) as url:
        try:
            return asyncio.run(at_work(url))
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                f"{error.object!r} is no UTF-8 text, so nothing can be kept under it."
            ) from None
