"""A manual decision on a submission: recorded as any other, sent by the worker, never overruled."""

from dataclasses import dataclass, replace
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
    """The service does not know this submission."""

    code = "never_heard_of"


class AlreadyDecided(AutoreviewError):
    """The submission is already decided."""

    code = "already_decided"


class Changed(AlreadyDecided):
    """The submission was decided again after the person looked at it."""

    code = "changed"


@dataclass(frozen=True, slots=True)
class ManualDecision:
    """A person's decision on a submission. ``seen`` is the newest decision that the person was shown."""

    submission_id: str
    action: Action
    by: str
    note: str | None
    now: datetime
    seen: int | None = None


async def resolve(connection: AsyncConnection, wanted: ManualDecision) -> Recorded:
    """Record a manual decision. The worker sends it in any mode and during pauses; limits don't apply.

    Raise NeverHeardOf, AlreadyDecided with who decided, InvalidAction if there is no request for it, and Changed if
    ``seen`` is not the newest decision any more.
    """
    last, decision = await examine(connection, wanted)
    recorded, submission_id = await record(connection, decision), wanted.submission_id
    # The rules must not check a manual decision again.
    await cancel_timer(connection, submission_id)
    # A pending decision of the rules was not sent yet: the worker sends only the manual one.
    if last and last.status is DecisionStatus.PENDING:
        await supersede(connection, last, recorded)
    if decision.action:
        await enqueue_decided(connection, submission_id)
    log.info(
        "decision.by_a_person", submission_id=submission_id, outcome=decision.outcome.value, by=decision.by
    )
    return recorded


async def examine(connection: AsyncConnection, wanted: ManualDecision) -> tuple[Recorded | None, Decision]:
    """Return the newest decision and the one that a person makes now. Record nothing. Raise as ``resolve`` does."""
    by, note = named(wanted.by, wanted.note)
    submission_id, action, now = wanted.submission_id, wanted.action, wanted.now
    study_id = await _locked(connection, submission_id)
    shown = await load_submission(connection, submission_id)
    last = await _newest_and_answered(connection, submission_id)
    await _refuse_what_is_decided(connection, submission_id, shown, last)
    # The rules, or another person, decided meanwhile: what the page showed no longer holds.
    if last and wanted.seen is not None and last.id != wanted.seen:
        raise Changed(f"It was decided again while you looked: {last.decision.reason} Look at it again.")
    # These may take pay away while the participant still has time to answer. An approval or a hold does not.
    if last and action.outcome in {Outcome.REJECT, Outcome.COMPLETE}:
        await _refuse_while_asked_by_another(connection, last, by, now)
    decision = _decision(submission_id, shown, last, action, by=by, note=note, now=now)
    return last, replace(decision, action=await _request(connection, study_id, action))


def named(by: str, note: str | None) -> tuple[str, str | None]:
    """Return the checked name and note of the person who decides. Raise InvalidAction."""
    try:
        by = name_of(by)
    except ValueError as error:
        raise InvalidAction(("by", f"a decision needs the name of a person: {error}")) from None
    try:
        return by, cleaned(note) if note and note.strip() else None
    except ValueError as error:
        raise InvalidAction(("note", str(error))) from None


async def _locked(connection: AsyncConnection, submission_id: str) -> str | None:
    """Lock the submission and its study until the transaction ends. Return the study. Raise NeverHeardOf."""
    unknown = NeverHeardOf(f"The service does not know a submission {excerpt(submission_id)!r}.")
    if not is_readable(submission_id):
        raise unknown
    study_id = await study_of(connection, submission_id)
    # Known by a webhook alone: events name no study.
    if study_id is None:
        last = await newest(connection, submission_id)
        if not (last or await events_of(connection, submission_id)):
            raise unknown
        study_id = last.decision.study_id if last else None
    await lock_study(connection, study_id or "")
    # Its first review may run at the same time, under the lock of a study that was unknown above.
    await lock_submission(connection, submission_id)
    return study_id or await study_of(connection, submission_id)


async def _newest_and_answered(connection: AsyncConnection, submission_id: str) -> Recorded | None:
    """Return the newest decision. Raise AlreadyDecided while a request of it is in progress."""
    last = await newest(connection, submission_id)
    if last is None or last.status is not DecisionStatus.PENDING or _stands(last):
        return last
    # A request in progress can't be stopped, and its answer may contradict the manual decision.
    if await is_being_sent(connection, last.id):
        raise AlreadyDecided(
            f"Decision {last.id} ({last.decision.outcome}) is on its way to Prolific; wait for its answer."
        )
    # Answers are recorded without the study's lock: this one may have come between the two statements.
    return await newest(connection, submission_id)


async def _refuse_what_is_decided(
    connection: AsyncConnection, submission_id: str, seen: dict[str, Any] | None, last: Recorded | None
) -> None:
    if last and _stands(last):
        raise AlreadyDecided(
            f"{_who(last.decision)} decided it on {_minute(last.decision.decided_at)}: "
            f"{last.decision.outcome}, {last.status}."
        )
    status = Status.parse(str((seen or {}).get("status", "")))
    if seen is not None and status is not Status.AWAITING_REVIEW:
        raise AlreadyDecided(f"It does not await review: Prolific showed it as {status.value}.")
    # The webhook is newer than the last fetch. Prolific would refuse the decision.
    if reported := await (status_reported_since_fetch if seen else status_reported_last)(
        connection, submission_id
    ):
        raise AlreadyDecided(f"It no longer awaits review: Prolific's webhook reported {reported}.")


async def _refuse_while_asked_by_another(
    connection: AsyncConnection, last: Recorded, by: str, now: datetime
) -> None:
    """Raise AlreadyDecided while a participant has time to answer another person's request to return."""
    asked = last.decision
    is_anothers = asked.outcome is Outcome.REQUEST_RETURN and asked.by not in {None, by}
    if not is_anothers or last.status not in {DecisionStatus.APPLIED, DecisionStatus.ALREADY}:
        return
    # The answer time begins when the request was sent, which may be later, and again after a retry.
    sent_at = await connection.scalar(
        sa.select(sa.func.max(attempts.c.at)).where(attempts.c.decision_id == last.id)
    )
    until = max(asked.decided_at, sent_at or asked.decided_at) + ANSWER_TIME
    if now < until:
        raise AlreadyDecided(
            f"{asked.by} asked the participant to return it on {_minute(asked.decided_at)}, who may answer until "
            f"{_minute(until)}. Wait for that. To decide now, hold it first."
        )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d at %H:%M} UTC"


def _stands(last: Recorded) -> bool:
    """Return True if the newest decision is final: applied, or by a person and not a hold.

    A manual decision may follow a request to return, and any decision that failed.
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
    """Return the request to Prolific. Completion codes are those of the study as last fetched."""
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
    """Return the manual decision, with the proposal and facts of the newest decision."""
    before = last.decision if last else None
    why = action.reason if isinstance(action, Hold) else note
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
        reason=f"{by} decided: {action.outcome}{f': {why}' if why else ''}",
        by=by,
        note=note,
        facts=before.facts if before else {},
    )
