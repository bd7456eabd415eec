"""Writing decisions down: the limit is judged and the row added under one lock, with its timer."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.errors import AutoreviewError, ProlificError
from service.ops.metrics import Metrics
from service.prolific.errors import NotFound, Refused
from service.review.limits import Excess, ServiceLimits
from service.review.restraint import Restraint, says_the_same
from service.rules import RuleFile
from service.store.brakes import open_breaker
from service.store.database import Database
from service.store.decisions import (
    Recorded,
    add_answer,
    add_attempt,
    lock_service,
    lock_study,
    may_have_arrived,
    newest,
    record,
    supersede,
)
from service.store.queue import Lease, LeaseLost, Queue, is_held
from service.store.submissions import study_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Adds decisions to the audit trail."""

    database: Database
    queue: Queue
    metrics: Metrics
    service_limits: ServiceLimits

    async def record(
        self, decision: Decision, rule_file: RuleFile, last: Recorded | None, lease: Lease | None = None
    ) -> Recorded:
        """Write the decision and its timer; the last one is returned where this one says nothing new.

        So is what a person decided, except where this holds what was reopened after it.
        """
        async with self.database.begin() as connection:
            await self._lock(connection, decision)
            if lease and not await is_held(connection, lease):
                raise LeaseLost
            meanwhile = await newest(connection, decision.submission_id)
            if meanwhile and meanwhile.decision.trigger is Trigger.PERSON:
                follows_it = last is not None and last.id == meanwhile.id
                if not (follows_it and decision.guard is Guard.REOPENED):
                    return meanwhile
            last = meanwhile  # a worker taken for dead may have written it down since it was read
            restraint = await Restraint.of(connection, decision.study_id, rule_file, self.service_limits)
            if last and restraint.lets_stand(last.decision, decision):
                return last  # counted once, it is not judged by the limits again
            restrained = await restraint.apply(decision)
            decision = restrained.decision
            if last and says_the_same(last.decision, decision):
                if restrained.excess:
                    await _open(connection, restrained.excess, last)
                if decision.trigger is Trigger.RECHECK:
                    # The timer rang before this clock came to its time: set it once more.
                    await self._set_timer(connection, decision)
                return last
            recorded = await record(connection, decision)
            if restrained.excess:
                await _open(connection, restrained.excess, recorded)
            await self._set_timer(connection, decision)
            if last and last.status is DecisionStatus.PENDING:
                await supersede(connection, last, recorded)
        self.metrics.decisions.labels(decision.outcome.value, decision.guard or "").inc()
        _tell(recorded)
        return recorded

    async def _lock(self, connection: AsyncConnection, decision: Decision) -> None:
        """The service's lock before the study's, everywhere."""
        await lock_service(connection, shared=not self.service_limits.are_set)
        await lock_study(connection, decision.study_id or "")

    async def record_failure(
        self, submission_id: str, trigger: Trigger, mode: Mode, error: Exception, now: datetime
    ) -> Recorded:
        """The submission can't be reviewed for good: a *failed* that people can see."""
        reason, code = _why_not(error), error.code if isinstance(error, AutoreviewError) else "internal_error"
        async with self.database.begin() as connection:
            await lock_study(connection, await study_of(connection, submission_id) or "")
            last = await newest(connection, submission_id)
            if last and last.status is DecisionStatus.FAILED and last.decision.reason == reason:
                return last
            if last and trigger is Trigger.SWEEP and await _is_unconfirmed(connection, last):
                return last  # it was only looked at, and is still to be settled by what Prolific shows
            if last and last.decision.trigger is Trigger.PERSON and last.status is not DecisionStatus.PENDING:
                return last  # a person's word stands, whatever Prolific shows
            if last and last.status is DecisionStatus.PENDING:
                recorded = last  # what was to be done can't be
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

    async def cancel_timer(self, study_id: str | None, submission_id: str) -> None:
        """Nothing of the submission is left to look at later."""
        async with self.database.begin() as connection:
            await lock_study(connection, study_id or "")
            await self.queue.cancel_timer(connection, submission_id)

    async def _set_timer(self, connection: AsyncConnection, decision: Decision) -> None:
        """The newest decision's time counts; without one, nothing is left to wait for."""
        submission = decision.submission_id
        if decision.recheck_at:
            await self.queue.set_timer(connection, submission, decision.recheck_at, Trigger.RECHECK)
        else:
            await self.queue.cancel_timer(connection, submission)


async def _open(connection: AsyncConnection, excess: Excess, recorded: Recorded) -> None:
    """The first decision beyond a limit opens its breaker."""
    if excess.is_new:
        study = excess.scope.study
        await open_breaker(connection, study, excess.guard, excess.reason, recorded.id)
        log.error("breaker.open", study_id=study, guard=excess.guard.value, reason=excess.reason)


async def _is_unconfirmed(connection: AsyncConnection, last: Recorded) -> bool:
    return last.status is DecisionStatus.FAILED and await may_have_arrived(connection, last.id)


def _why_not(error: Exception) -> str:
    if isinstance(error, NotFound):
        return "Prolific knows no such submission, or does not show it to this token."
    if isinstance(error, ProlificError):
        return f"Prolific did not show the submission: {error}"
    return f"Its review ended in an error again and again: {type(error).__name__}: {error}"


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


def _tell(recorded: Recorded) -> None:
    decision = recorded.decision
    log.info(
        "decision.recorded",
        decision_id=recorded.id,
        outcome=decision.outcome.value,
        guard=decision.guard.value if decision.guard else None,
        rule=decision.rule,
        reason=decision.reason,
        status=recorded.status.value,
    )
