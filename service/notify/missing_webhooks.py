"""Alert: no webhook for 24 hours while a study is active. The way from Prolific to this service may be broken."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.submission import Study
from service.errors import ProlificError
from service.notify import wording
from service.notify.alerts import notify
from service.notify.wording import Kind
from service.postgres.database import Database, database_now
from service.rules import RuleBook
from service.store.inbox import last_event_at
from service.store.notifications import active_studies, was_notified
from service.store.submissions import first_seen

NO_WEBHOOK_FOR = timedelta(hours=24)

AskStudy = Callable[[str], Awaitable[Study | None]]


@dataclass(frozen=True, slots=True)
class MissingWebhooks:
    """No webhook arrived ``since``, and these studies were active when last seen."""

    since: datetime
    studies: tuple[str, ...]


async def check_webhooks(database: Database, book: RuleBook, ask: AskStudy) -> None:
    """Notify once of missing webhooks while a study is active."""
    missing = await _missing(database, book)
    if missing is None:
        return
    # No webhook reports the end of a study, so Prolific is asked.
    studies = [study for study in missing.studies if await _is_active(study, ask)]
    if not studies:
        return
    async with database.begin() as connection:
        text = wording.silence(missing.since, await database_now(connection), studies)
        await notify(connection, Kind.SILENCE, missing.since.isoformat(), text)


async def _missing(database: Database, book: RuleBook) -> MissingWebhooks | None:
    """Return missing webhooks without a notification."""
    async with database.connect() as connection:
        active = await active_studies(connection)
        studies = [study for study, parent in active.items() if book.file_for(study, parent)]
        since = await last_event_at(connection) or await first_seen(connection, studies)
        if not studies or since is None:
            return None
        is_long = await database_now(connection) - since >= NO_WEBHOOK_FOR
        if not is_long or await was_notified(connection, Kind.SILENCE, since.isoformat()):
            return None
    return MissingWebhooks(since, tuple(studies))


async def _is_active(study: str, ask: AskStudy) -> bool:
    """Return True if Prolific shows the study as active, or can't be asked."""
    try:
        found = await ask(study)
    # Better one message too many than a broken way that stays unseen.
    except ProlificError:
        return True
    return found is not None and found.status.upper() == "ACTIVE"
