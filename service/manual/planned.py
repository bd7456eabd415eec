"""Planned decisions: a worker carries them out when the time to undo them is over.

Before that they are not recorded as decisions, so that no review sends them early. They are stored in the database,
so that a restart neither loses them nor sends them twice.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import AutoreviewError
from service.manual.actions import InvalidAction, read_action
from service.manual.decide import AlreadyDecided, ManualDecision, NeverHeardOf, examine, named, resolve
from service.postgres.database import ERROR_HINTS, Clock, Database, error_kind, time_of
from service.postgres.periodic import run_every
from service.store.planned import Planned, add_planned, end_planned, postpone_planned, take_due, undo_planned

UNDO_TIME = timedelta(seconds=10)
CHECK_EVERY = 1.0  # seconds
POSTPONED = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class TooLate(AutoreviewError):
    """The decision was already carried out, or undone."""

    code = "too_late"


async def plan(
    connection: AsyncConnection,
    wanted: Mapping[str, int | None],
    given: Any,
    *,
    by: str,
    note: str | None,
    now: datetime,
) -> tuple[str, int]:
    """Plan an action for submissions, each with its newest decision. Return the batch's id and size.

    Raise InvalidAction, and for a single submission what ``resolve`` raises. Of several, those that can't be
    decided any more are refused when they are due.
    """
    action = read_action(given)
    by, note = named(by, note)
    # Of one, the person who looks at it gets the refusal at once. A batch is decided without a second look at
    # each.
    if len(wanted) == 1:
        ((submission, seen),) = wanted.items()
        await examine(connection, ManualDecision(submission, action, by, note, now, seen))
    batch = str(uuid4())
    number = await add_planned(connection, batch, wanted, given, by=by, note=note, due_at=now + UNDO_TIME)
    if not number:
        raise AlreadyDecided("A decision is planned already; undo it first.")
    log.info("decision.planned", outcome=action.outcome.value, by=by, number=number, batch=batch)
    return batch, number


async def undo(
    connection: AsyncConnection, batch: str, *, by: str, now: datetime, submission: str | None = None
) -> int:
    """Undo what of a batch is not carried out yet. Return how many. Raise TooLate if nothing is left."""
    by, _ = named(by, None)
    number = await undo_planned(connection, batch, by, now, submission=submission)
    if not number:
        raise TooLate
    log.info("decision.undone", by=by, number=number, batch=batch)
    return number


async def run_planned(database: Database, clock: Clock | None) -> None:
    """Carry out due decisions until cancelled. Any number of processes may do so at once."""

    async def look() -> None:
        while await carry_out_next(database, clock):
            pass

    await run_every("planned_decisions", CHECK_EVERY, look)


async def carry_out_next(database: Database, clock: Clock | None) -> bool:
    """Carry out the planned decision that is due for longest. Return False if none is."""
    async with database.begin() as connection:
        now = await time_of(connection, clock)
        one = await take_due(connection, now)
        if one is None:
            return False
        try:
            async with connection.begin_nested():
                await _carry_out(connection, one, now)
        except (AlreadyDecided, InvalidAction, NeverHeardOf) as refusal:
            await end_planned(connection, one.id, now, decision=None, refusal=str(refusal))
            log.warning("decision.refused", submission_id=one.submission_id, by=one.by, why=str(refusal))
        except Exception as error:
            # The database is away: the transaction is lost, and with it the postponement.
            if error_kind(error) in ERROR_HINTS:
                raise
            # A decision that can't be carried out must not block those behind it.
            log.exception("decision.postponed", submission_id=one.submission_id)
            await postpone_planned(connection, one.id, now + POSTPONED)
    return True


async def _carry_out(connection: AsyncConnection, one: Planned, now: datetime) -> None:
    action = read_action(one.action)
    wanted = ManualDecision(one.submission_id, action, one.by, one.note, now, one.seen)
    recorded = await resolve(connection, wanted)
    await end_planned(connection, one.id, now, decision=recorded.id, refusal=None)
