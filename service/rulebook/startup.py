"""The rules at startup: those in the folder, else the last valid ones from the database."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.postgres.database import Database
from service.postgres.where import database_exists
from service.rulebook.current import RulesInForce
from service.rules import InvalidRules, RuleBook, load
from service.settings import Settings
from service.store.rulebooks import last_good_book

log = structlog.get_logger(__name__)


def load_rules(settings: Settings) -> RuleBook | InvalidRules:
    """Return the rules or their errors. Raise the errors if no database can have valid rules."""
    try:
        return load(settings.rules_dir)
    except InvalidRules as error:
        if not database_exists(settings):
            raise
        return error


def rules_at_start(read: RuleBook | InvalidRules, settings: Settings, database_url: str) -> RulesInForce:
    """Return the rules that were read, else the last valid ones with the errors. Raise InvalidRules if there are none."""
    now, folder = datetime.now(UTC), settings.rules_dir
    if isinstance(read, RuleBook):
        return RulesInForce(read, now, folder=folder)
    book = asyncio.run(last_good_rules(database_url))
    if book is None:
        raise read
    return RulesInForce(book, now, tuple(read.findings), folder)


async def last_good_rules(database_url: str) -> RuleBook | None:
    """Return the last valid rules, None if the database has none that this version can read."""
    database = Database(database_url, pool_size=1)
    try:
        async with database.connect() as connection:
            kept = await last_good_book(connection)
    except SQLAlchemyError as error:
        log.warning("rules.no_last_good", why=str(getattr(error, "orig", error)))
        return None
    finally:
        await database.close()
    return book_of(kept) if kept else None


def book_of(contents: Mapping[str, bytes]) -> RuleBook | None:
    """Return the book of these files by name, None if this version finds errors in them."""
    # ``load`` reads a folder, so the stored files are written to one.
    with TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        try:
            return RuleBook(load(Path(folder)).files)
        except InvalidRules as error:
            log.warning("rules.last_good_is_of_another_version", why=str(error))
            return None
