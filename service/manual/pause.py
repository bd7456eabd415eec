"""Pause and resume the whole service or one study, by a named person."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.errors import AutoreviewError
from service.manual.texts import cleaned, name_of
from service.store.decisions import lock_service, lock_study
from service.store.holds import held_or_observed
from service.store.pauses import Pause, Scope, add_pause, add_resume, scopes, scopes_of
from service.store.queue import enqueue_reviews
from service.store.tables import submissions

log = structlog.get_logger(__name__)


class Unnamed(AutoreviewError):
    """A pause or resume needs a name and a reason."""

    code = "unnamed"


@dataclass(frozen=True, slots=True)
class Paused:
    """The result of a pause: the pause before it, and whether any submission of the study was ever seen."""

    before: Pause | None
    is_known: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """The result of a resume: the number of submissions reviewed again, and the pauses and breakers still in force."""

    reviewed_again: int
    closed: Scope
    still_on: tuple[Scope, ...]

    def as_dict(self, study: str | None) -> dict[str, Any]:
        """Return what the API and the command print about a resume of ``study``."""
        return {
            "paused": False,
            "study": study,
            "closed": self.closed.as_dicts(),
            "reviewed_again": self.reviewed_again,
            "still_on": [one for scope in self.still_on for one in scope.as_dicts()],
        }


async def pause(connection: AsyncConnection, study: str | None, by: str, reason: str) -> Paused:
    """Pause automatic decisions on all replicas. Takes effect at commit: decisions are then recorded as held.

    An unknown study can be paused too. Raise Unnamed.
    """
    study, by, reason = _checked(study, by, reason)
    own, service = await scopes_of(connection, study)
    await add_pause(connection, study, by, reason)
    log.warning("paused", study_id=study, by=by, reason=reason)
    return Paused((own if study else service).pause, study is None or await _is_known(connection, study))


async def resume(connection: AsyncConnection, study: str | None, by: str, reason: str) -> Resumed:
    """End the pause and close the breakers of a study (None: the service's own), and review held submissions again.

    The limits whose breakers it closes count from zero. Raise Unnamed.
    """
    study, by, reason = _checked(study, by, reason)
    # The closed limits count from the newest decision at this moment, so no decision may be recorded meanwhile.
    # The service's lock waits for the decisions of all studies.
    if study is None:
        await lock_service(connection)
    else:
        await lock_study(connection, study)
    own, service = await scopes_of(connection, study)
    await add_resume(connection, study, by, reason)
    # Each review decides again by the rules in force. Nothing is sent from here.
    held = await held_or_observed(connection, study)
    await enqueue_reviews(connection, held, Trigger.RULES)
    log.warning("resumed", study_id=study, by=by, reason=reason, reviewed_again=len(held))
    still_on = tuple(scope for scope in (await scopes(connection)).values() if scope.pause or scope.breakers)
    return Resumed(len(held), own if study else service, still_on)


def _checked(study: str | None, by: str, reason: str) -> tuple[str | None, str, str]:
    # An empty study is a mistake, and must not pause or resume the whole service.
    try:
        return cleaned(study) if study is not None else None, name_of(by), cleaned(reason)
    except ValueError as error:
        raise Unnamed(f"study, by and reason: {error}") from None


async def _is_known(connection: AsyncConnection, study: str) -> bool:
    found = await connection.scalar(sa.select(sa.exists().where(submissions.c.study_id == study)))
    return bool(found)
