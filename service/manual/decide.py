"""A person's decision on a submission: recorded as any other, sent by the worker, never overruled."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import (
    ANSWER_TIME,
    Action,
    ActionRequest,
    Decision,
    DecisionStatus,
    Hold,
    Mode,
    Outcome,
    Trigger,
)
from service.domain.submission import Status
from service.errors import AutoreviewError
from service.manual.actions import InvalidAction
from service.manual.texts import cleaned, excerpt, is_readable, name_of
from service.prolific.errors import NoSuchCode
from service.prolific.sending import action_request
from service.store.decisions import (
    Recorded,
    is_being_sent,
    lock_study,
    lock_submission,
    newest,
    record,
    supersede,
)
from service.store.holds import status_reported_last, status_reported_since_fetch
from service.store.inbox import events_of
from service.store.queue import cancel_timer, enqueue_decided
from service.store.submissions import load_study, load_submission, study_of
from service.store.tables import attempts

log = structlog.get_logger(__name__)


class NeverHeardOf(AutoreviewError):
    """Nothing was ever heard of this submission."""

    code = "never_heard_of"


class AlreadyDecided(AutoreviewError):
    """Somebody or something was first."""

    code = "already_decided"


class Changed(AlreadyDecided):
    """The submission was decided again since the person looked at it."""

    code = "changed"


async def resolve(
    connection: AsyncConnection,
    submission_id: str,
    action: Action,
    *,
    by: str,
    note: str | None,
    now: datetime,
    seen: int | None = None,
) -> Recorded:
    """Record what a person decided; the worker sends it, whatever the mode, pauses and limits.

    Raises NeverHeardOf, AlreadyDecided saying by whom, InvalidAction where Prolific could not be told so. With
    ``seen``, the newest decision that the person was shown, Changed if it is not the newest any more.
    """
    last, decision = await examine(connection, submission_id, action, by=by, note=note, now=now, seen=seen)
    recorded = await record(connection, decision)
    await cancel_timer(connection, submission_id)
    if last and last.status is DecisionStatus.PENDING:
        await supersede(connection, last, recorded)
    if decision.action:
        await enqueue_decided(connection, submission_id)
    log.info(
        "decision.by_a_person", submission_id=submission_id, outcome=decision.outcome.value, by=decision.by
    )
    return recorded


async def examine(
    connection: AsyncConnection,
    submission_id: str,
    action: Action,
    *,
    by: str,
    note: str | None,
    now: datetime,
    seen: int | None = None,
) -> tuple[Recorded | None, Decision]:
    """Return the newest decision and the one that a person makes now; record nothing. Raises as ``resolve`` does."""
    by, note = named(by, note)
    study_id = await _locked(connection, submission_id)
    shown = await load_submission(connection, submission_id)
    last = await newest(connection, submission_id)
    await _refuse_what_is_decided(connection, submission_id, shown, last)
    if last and seen is not None and last.id != seen:
        raise Changed(f"It was decided again while you looked: {last.decision.reason} Look at it again.")
    if last and action.outcome in {Outcome.REJECT, Outcome.COMPLETE}:
        await _refuse_while_asked_by_another(connection, last, by, now)
    decision = _decision(submission_id, shown, last, action, by=by, note=note, now=now)
    return last, replace(decision, action=await _request(connection, study_id, action))


def named(by: str, note: str | None) -> tuple[str, str | None]:
    """Who decides, and what they say of it. Raises InvalidAction."""
    try:
        by = name_of(by)
    except ValueError as error:
        raise InvalidAction(("by", f"whoever decides has to be named: {error}")) from None
    try:
        return by, cleaned(note) if note and note.strip() else None
    except ValueError as error:
        raise InvalidAction(("note", str(error))) from None


async def _locked(connection: AsyncConnection, submission_id: str) -> str | None:
    """The submission's study, with its lock held: until the end nobody else decides. Raises NeverHeardOf."""
    unknown = NeverHeardOf(f"Nothing was ever heard of a submission {excerpt(submission_id)!r}.")
    if not is_readable(submission_id):
        raise unknown
    study_id = await study_of(connection, submission_id)
    if study_id is None:
        last = await newest(connection, submission_id)
        if not (last or await events_of(connection, submission_id)):
            raise unknown
        study_id = last.decision.study_id if last else None
    await lock_study(connection, study_id or "")
    # Its first review may come in between, under the lock of a study that was not known yet.
    await lock_submission(connection, submission_id)
    return study_id or await study_of(connection, submission_id)


async def _refuse_what_is_decided(
    connection: AsyncConnection, submission_id: str, seen: dict[str, Any] | None, last: Recorded | None
) -> None:
    if last and _stands(last):
        raise AlreadyDecided(
            f"{_who(last.decision)} decided it on {_minute(last.decision.decided_at)}: "
            f"{last.decision.outcome}, {last.status}."
        )
    if last and last.status is DecisionStatus.PENDING and await is_being_sent(connection, last.id):
        raise AlreadyDecided(
            f"Decision {last.id} ({last.decision.outcome}) is on its way to Prolific; wait for its answer."
        )
    status = Status.parse(str((seen or {}).get("status", "")))
    if seen is not None and status is not Status.AWAITING_REVIEW:
        raise AlreadyDecided(f"It does not await review: Prolific showed it as {status.value}.")
    if told := await (status_reported_since_fetch if seen else status_reported_last)(
        connection, submission_id
    ):
        raise AlreadyDecided(f"It no longer awaits review: Prolific's webhook told that it is {told}.")


async def _refuse_while_asked_by_another(
    connection: AsyncConnection, last: Recorded, by: str, now: datetime
) -> None:
    """Whom another person asked to return it has time to answer; a rule's request, or one's own, may be overruled."""
    asked = last.decision
    is_anothers = asked.outcome is Outcome.REQUEST_RETURN and asked.by not in {None, by}
    if not is_anothers or last.status not in {DecisionStatus.APPLIED, DecisionStatus.ALREADY}:
        return
    sent_at = await connection.scalar(
        sa.select(sa.func.max(attempts.c.at)).where(attempts.c.decision_id == last.id)
    )
    until = max(asked.decided_at, sent_at or asked.decided_at) + ANSWER_TIME
    if now < until:
        raise AlreadyDecided(
            f"{asked.by} asked the participant to return it on {_minute(asked.decided_at)}, who may answer until "
            f"{_minute(until)}. Wait for that, or hold it first if it has to be decided otherwise now."
        )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d at %H:%M} UTC"


def _stands(last: Recorded) -> bool:
    """Whether the newest decision leaves nothing to decide: a person's that is no hold, or one that was applied.

    A request to return may be followed by a person's decision; so may anything that failed.
    """
    if last.decision.outcome is Outcome.HOLD or last.status is DecisionStatus.FAILED:
        return False
    if last.decision.outcome is Outcome.REQUEST_RETURN and last.status is not DecisionStatus.PENDING:
        return False
    is_done = last.status in {DecisionStatus.APPLIED, DecisionStatus.ALREADY}
    is_on_its_way = last.decision.trigger is Trigger.PERSON and last.status is DecisionStatus.PENDING
    return is_done or is_on_its_way


def _who(decision: Decision) -> str:
    if decision.by:
        return decision.by
    return f"Rule {decision.rule!r}" if decision.rule else "The rules"


async def _request(connection: AsyncConnection, study_id: str | None, action: Action) -> ActionRequest | None:
    """What Prolific is to be sent; a code is looked for in the study as it was seen last."""
    study = await load_study(connection, study_id or "")
    try:
        return action_request(action, study)
    except NoSuchCode as error:
        raise InvalidAction(("", str(error))) from None


def _decision(
    submission_id: str,
    seen: dict[str, Any] | None,
    last: Recorded | None,
    action: Action,
    *,
    by: str,
    note: str | None,
    now: datetime,
) -> Decision:
    """The person's decision beside what the rules proposed and knew last."""
    before = last.decision if last else None
    said = action.reason if isinstance(action, Hold) else note
    return Decision(
        submission_id=submission_id,
        study_id=(seen or {}).get("study_id") or (before.study_id if before else None),
        participant_id=(seen or {}).get("participant_id") or (before.participant_id if before else None),
        decided_at=now,
        trigger=Trigger.PERSON,
        outcome=action.outcome,
        proposed=before.proposed if before else action.outcome,
        guard=None,
        rule=None,
        rule_file=before.rule_file if before else None,
        rules_hash=before.rules_hash if before else None,
        mode=before.mode if before else Mode.LIVE,
        action=None,
        reason=f"{by} decided: {action.outcome}{f': {said}' if said else ''}",
        by=by,
        note=note,
        facts=before.facts if before else {},
    )
