"""Record decisions under the study's lock, with their attempt, timer and breaker."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, DecisionStatus, Mode, Outcome, Trigger
from service.domain.submission import Status, Submission
from service.errors import AutoreviewError, ProlificError
from service.postgres.database import Database
from service.prolific.errors import NotFound, Refused
from service.review.apply import settled
from service.review.job import Recording
from service.review.judge import is_repeat
from service.review.known import Known
from service.review.limits import Excess
from service.review.next_step import has_failed
from service.review.retry_policy import ReviewKilled
from service.store.decisions import (
    Recorded,
    add_answer,
    add_attempt,
    lock_study,
    may_have_arrived,
    newest,
    record,
    record_and_attempt,
    supersede,
)
from service.store.pauses import open_breaker
from service.store.queue import cancel_timer, set_timer
from service.store.submissions import study_of
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Adds decisions to the audit trail."""

    database: Database
    metrics: Metrics

    async def record(
        self,
        connection: AsyncConnection,
        known: Known,
        decision: Decision,
        opens: Excess | None,
        *,
        again: bool,
    ) -> Recording:
        """Write the decision and the attempt to send it in one statement. Requires the study's lock.

        A decision that repeats the newest one adds no row: the newest is sent if it is pending, or if it failed
        and ``again`` is True.
        """
        last = known.history.newest
        if last and is_repeat(last.decision, decision):
            return await self._repeat(connection, last, decision, opens, again=again)
        send = decision.first_status is DecisionStatus.PENDING and decision.action is not None
        recorded, attempt = await record_and_attempt(connection, decision, send=send)
        # In the same transaction: no decision can be recorded between the excess and its breaker.
        if opens:
            await _open(connection, opens, recorded)
        if decision.recheck_at:
            await set_timer(connection, decision.submission_id, decision.recheck_at)
        elif known.history.has_timer:
            await cancel_timer(connection, decision.submission_id)
        # The newest decision was recorded and never sent.
        if last and last.status is DecisionStatus.PENDING:
            await supersede(connection, last, recorded)
        ignores = known.history.conflicts > 0
        return Recording(recorded, attempt, is_new=True, ignores_evidence=ignores)

    async def _repeat(
        self,
        connection: AsyncConnection,
        last: Recorded,
        decision: Decision,
        opens: Excess | None,
        *,
        again: bool,
    ) -> Recording:
        if opens:
            await _open(connection, opens, last)
        if decision.trigger is Trigger.RECHECK and decision.recheck_at:
            # The timer fired early, or the decision is checked at regular intervals.
            await set_timer(connection, decision.submission_id, decision.recheck_at)
        if last.status is DecisionStatus.PENDING or (again and has_failed(last)):
            return Recording(last, await add_attempt(connection, last.id, last.decision.action))
        return Recording(last)

    def report(self, recording: Recording | None) -> None:
        """Log and count a new decision. Call after the commit."""
        if recording is None or not recording.is_new:
            return
        recorded, decision = recording.recorded, recording.recorded.decision
        self.metrics.decisions.labels(decision.outcome.value, decision.guard or "").inc()
        if recording.ignores_evidence:
            self.metrics.evidence_conflicts.inc()
        log.info(
            "decision.recorded",
            decision_id=recorded.id,
            outcome=decision.outcome.value,
            guard=decision.guard.value if decision.guard else None,
            rule=decision.rule,
            reason=decision.reason,
            status=recorded.status.value,
        )

    async def settle(
        self, connection: AsyncConnection, decisions: tuple[Recorded, ...], submission: Submission
    ) -> Recorded:
        """Record what Prolific shows of decisions whose answer is unknown. Return the last of them."""
        found = decisions[-1]
        for decision in decisions:
            status = settled(decision, submission)
            attempt = await add_attempt(connection, decision.id, None)
            await add_answer(connection, attempt, status, None, {"status": submission.status.value})
            self.metrics.applications.labels(status.value).inc()
            found = replace(decision, status=status)
        # A timer would fetch a submission that is decided.
        if submission.status is not Status.AWAITING_REVIEW:
            await cancel_timer(connection, submission.id)
        return found

    async def record_failure(
        self, submission_id: str, trigger: Trigger, mode: Mode, error: Exception, now: datetime
    ) -> Recorded:
        """Record a failed decision: the submission can't be reviewed, or its pending decision can't be applied."""
        reason, code = _why_not(error), error.code if isinstance(error, AutoreviewError) else "internal_error"
        async with self.database.begin() as connection:
            await lock_study(connection, await study_of(connection, submission_id) or "")
            last = await newest(connection, submission_id)
            # The same failure again adds nothing to the record.
            if last and last.status is DecisionStatus.FAILED and last.decision.reason == reason:
                return last
            if last and trigger is Trigger.SWEEP and await _is_unconfirmed(connection, last):
                return last  # the sweep only fetches it: what Prolific shows still settles it
            if last and last.decision.trigger is Trigger.PERSON and last.status is not DecisionStatus.PENDING:
                return last  # a manual decision stands, whatever Prolific shows
            if last and last.status is DecisionStatus.PENDING:
                recorded = last
            else:
                recorded = await record(connection, _failure(submission_id, trigger, mode, reason, now))
            attempt = await add_attempt(connection, recorded.id, {"endpoint": "submission", "body": None})
            await add_answer(
                connection,
                attempt,
                DecisionStatus.FAILED,
                error.status_code if isinstance(error, Refused) else None,
                {"error": code, "message": str(error)},
            )
        log.error("review.failed", decision_id=recorded.id, error=str(error), code=code)
        return replace(recorded, status=DecisionStatus.FAILED)


async def _open(connection: AsyncConnection, excess: Excess, recorded: Recorded) -> None:
    """Open the breaker of a limit, at the first decision beyond it."""
    await open_breaker(connection, excess.study, excess.guard, excess.reason, recorded.id)
    log.error("breaker.open", study_id=excess.study, guard=excess.guard.value, reason=excess.reason)


async def _is_unconfirmed(connection: AsyncConnection, last: Recorded) -> bool:
    return last.status is DecisionStatus.FAILED and await may_have_arrived(connection, last.id)


def _why_not(error: Exception) -> str:
    if isinstance(error, NotFound):
        return "Prolific knows no such submission, or does not show it to this token."
    if isinstance(error, ReviewKilled):
        return str(error)
    if isinstance(error, ProlificError):
        return f"Prolific did not show the submission: {error}"
    return f"Each of its reviews ended in an error: {type(error).__name__}: {error}"


def _failure(submission_id: str, trigger: Trigger, mode: Mode, reason: str, now: datetime) -> Decision:
    return Decision(
        submission_id=submission_id,
        study_id=None,
        participant_id=None,
        decided_at=now,
        trigger=trigger,
        outcome=Outcome.HOLD,
        proposed=Outcome.HOLD,
        guard=None,
        rule=None,
        rule_file=None,
        rules_hash=None,
        mode=mode,
        action=None,
        reason=reason,
    )
