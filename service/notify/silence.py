"""No webhook for long while people take part: something between Prolific and us may be broken."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.submission import Study
from service.errors import ProlificError
from service.notify import sentences
from service.notify.causes import tell
from service.notify.sentences import Kind
from service.postgres.database import Database, database_now
from service.rules import RuleBook
from service.store.inbox import last_event_at
from service.store.notifications import active_studies, was_notified
from service.store.submissions import first_seen

LONG = timedelta(hours=24)

AskStudy = Callable[[str], Awaitable[Study | None]]


@dataclass(frozen=True, slots=True)
class Quiet:
    """Since when no webhook came, and the studies that were active when last seen."""

    since: datetime
    studies: tuple[str, ...]


async def look_for_silence(database: Database, book: RuleBook, ask: AskStudy) -> None:
    """Tell of a silence once. Prolific is asked first: the end of a study is one that webhooks may not tell."""
    quiet = await _quiet(database, book)
    if quiet is None:
        return
    studies = [study for study in quiet.studies if await _is_active(study, ask)]
    if not studies:
        return
    async with database.begin() as connection:
        text = sentences.silence(quiet.since, await database_now(connection), studies)
        await tell(connection, Kind.SILENCE, quiet.since.isoformat(), text)


async def _quiet(database: Database, book: RuleBook) -> Quiet | None:
    """A silence that was not told of yet."""
    async with database.connect() as connection:
        active = await active_studies(connection)
        studies = [study for study, parent in active.items() if book.file_for(study, parent)]
        since = await last_event_at(connection) or await first_seen(connection, studies)
        if not studies or since is None:
            return None
        is_long = await database_now(connection) - since >= LONG
        if not is_long or await was_notified(connection, Kind.SILENCE, since.isoformat()):
            return None
    return Quiet(since, tuple(studies))


async def _is_active(study: str, ask: AskStudy) -> bool:
    """As Prolific shows it; what it showed last, where it can't be asked."""
    try:
        found = await ask(study)
    except ProlificError:
        return True
    return found is not None and found.status.upper() == "ACTIVE"
