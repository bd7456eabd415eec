"""The kill switch: pause and resume, the whole service or one study, by a named person."""

from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.errors import AutoreviewError
from service.store.brakes import Scope, add_pause, add_resume, scopes, scopes_of
from service.store.decisions import lock_service, lock_study
from service.store.holds import held_or_observed
from service.store.queue import Queue

log = structlog.get_logger(__name__)


class Unnamed(AutoreviewError):
    """Whoever pauses or resumes has to be named, and to say why."""

    code = "unnamed"


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a resume came to: how many submissions are reviewed again, and the brakes that are still on."""

    reviewed_again: int
    closed: Scope
    still_on: tuple[Scope, ...]


async def pause(connection: AsyncConnection, study: str | None, by: str, reason: str) -> None:
    """From the commit on nothing is sent automatically, on any replica; decisions are recorded as held."""
    _check(by, reason)
    await add_pause(connection, study, by.strip(), reason.strip())
    log.warning("paused", study_id=study, by=by, reason=reason)


async def resume(connection: AsyncConnection, study: str | None, by: str, reason: str) -> Resumed:
    """End the pause and close the breakers of a study (None: the service's own), and review again what is held.

    Limits count from here on.
    """
    _check(by, reason)
    if study is None:
        await lock_service(connection)
    else:
        await lock_study(connection, study)
    own, service = await scopes_of(connection, study)
    await add_resume(connection, study, by.strip(), reason.strip())
    waiting = await held_or_observed(connection, study)
    await Queue().review(connection, waiting, Trigger.RULES)
    log.warning("resumed", study_id=study, by=by, reason=reason, reviewed_again=len(waiting))
    still_on = tuple(scope for scope in (await scopes(connection)).values() if scope.pause or scope.breakers)
    return Resumed(len(waiting), own if study else service, still_on)


def _check(by: str, reason: str) -> None:
    if not (by.strip() and reason.strip()):
        raise Unnamed
