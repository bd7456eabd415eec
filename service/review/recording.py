"""Writing decisions down: the limit is judged and the row added under one lock, with its timer."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.errors import AutoreviewError, ProlificError
from service.ops.metrics import Metrics
from service.prolific.errors import NotFound, Refused
from service.review.guards import held, over_limit
from service.rules import RejectLimit
from service.store.database import Database
from service.store.decisions import (
    Recorded,
    add_answer,
    add_attempt,
    lock_study,
    newest,
    record,
    rejection_counts,
)
from service.store.queue import Queue

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Adds decisions to the audit trail."""

    database: Database
    queue: Queue
    metrics: Metrics

    async def record(self, decision: Decision, limit: RejectLimit, last: Recorded | None) -> Recorded:
        """Write the decision and its timer; the last one is returned where this one says nothing new."""
        async with self.database.begin() as connection:
            await lock_study(connection, decision.study_id or "")
            if not (last and says_the_same(last.decision, decision)):
                decision = await within_limit(connection, decision, limit)
            if last and says_the_same(last.decision, decision):
                if decision.trigger is Trigger.RECHECK:
                    # The timer rang before this clock came to its time: set it once more.
                    await self._set_timer(connection, decision)
                return last
            recorded = await record(connection, decision)
            await self._set_timer(connection, decision)
            if last and last.status is DecisionStatus.PENDING:
                await _supersede(connection, last, recorded)
        self.metrics.decisions.labels(decision.outcome.value, decision.guard or "").inc()
        _tell(recorded)
        return recorded

    async def record_failure(
        self, submission_id: str, trigger: Trigger, mode: Mode, error: Exception, now: datetime
    ) -> Recorded:
        """The submission can't be reviewed for good: a *failed* that people can see."""
        reason, code = _why_not(error), error.code if isinstance(error, AutoreviewError) else "internal_error"
        async with self.database.begin() as connection:
            last = await newest(connection, submission_id)
            if last and last.status is DecisionStatus.FAILED and last.decision.reason == reason:
                return last
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


def says_the_same(last: Decision, new: Decision) -> bool:
    """Whether a review came to the same as the last one; that time went by is nothing new."""

    def said(decision: Decision) -> tuple[Any, ...]:
        facts = {name: value for name, value in decision.facts.items() if name != "now"}
        named = (decision.rule, decision.rules_hash, decision.mode)
        return (facts, *named, decision.outcome, decision.guard, decision.action)

    return said(last) == said(new)


async def within_limit(connection: AsyncConnection, decision: Decision, limit: RejectLimit) -> Decision:
    """The decision, or a hold where one more rejection of this study would be too many.

    Exact only under the study's lock.
    """
    if decision.outcome is not Outcome.REJECT or decision.mode is Mode.OBSERVE:
        return decision
    counts = await rejection_counts(
        connection, decision.study_id or "", limit.of_last - 1, decision.decided_at
    )
    reason = over_limit(limit, counts)
    if reason is None:
        return decision
    by = held(Guard.LIMIT_REJECT, reason)
    return replace(
        decision, outcome=Outcome.HOLD, guard=by.guard, reason=reason, action=None, recheck_at=None
    )


async def _supersede(connection: AsyncConnection, last: Recorded, by: Recorded) -> None:
    """A decision that was never sent gives way to the one that later facts led to."""
    attempt = await add_attempt(connection, last.id, None)
    answer = {"message": f"Decision {by.id} took its place before it was sent."}
    await add_answer(connection, attempt, DecisionStatus.SUPERSEDED, None, answer)


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
