"""Applying a decision: an intent on disk, the call, its answer on disk; settled by what is fetched."""

from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus, Outcome, Trigger
from service.domain.submission import Status, Submission
from service.errors import ProlificError
from service.ops.metrics import Metrics
from service.prolific.client import LastLook, Prolific
from service.prolific.errors import NotFound, Refused, Unauthorised, Unreadable
from service.prolific.payloads import ReturnRequest
from service.review.treatment import RetryLater, is_refusal
from service.review.troubles import Troubles
from service.store.brakes import pause_of
from service.store.database import Database
from service.store.decisions import Recorded, add_answer, add_attempt, lock_study, newest
from service.store.queue import Lease, LeaseLost, is_held
from service.store.submissions import see_status

log = structlog.get_logger(__name__)

SOON = timedelta(seconds=30)
SHORTLY = timedelta(seconds=1)

REACHED = {
    Outcome.APPROVE: {Status.APPROVED},
    Outcome.REJECT: {Status.REJECTED},
    Outcome.REQUEST_RETURN: {Status.RETURNED},
    Outcome.COMPLETE: {Status.PARTIALLY_APPROVED, Status.SCREENED_OUT, Status.APPROVED},
    Outcome.HOLD: set[Status](),
}


class _NoLongerMeant(Exception):
    """Somebody decided otherwise meanwhile."""


class Applier:
    """Does what was decided, once."""

    def __init__(self, prolific: Prolific, database: Database, metrics: Metrics, troubles: Troubles) -> None:
        self._prolific = prolific
        self._database = database
        self._metrics = metrics
        self._troubles = troubles

    async def apply(self, recorded: Recorded, lease: Lease | None = None) -> DecisionStatus:
        """Send the decision's request, if the lease still holds.

        Raises RetryLater where it should be tried again, LeaseLost where another worker has it by now.
        """
        submission, attempt = recorded.decision.submission_id, None

        async def last_look() -> None:
            """When it is its turn: a call that waits for others would go out long after a pause."""
            nonlocal attempt
            attempt = await self._intend(recorded, lease)

        try:
            answer = await self._call(recorded, last_look)
            shown = answer if _is_confirmed(recorded, answer) else await self._shown(recorded, answer)
        except _NoLongerMeant:
            return DecisionStatus.SUPERSEDED
        except ProlificError as error:
            if attempt is None:  # Prolific is left alone: what can't be sent now is no attempt
                raise
            return await self._refused(recorded, attempt, error)
        assert attempt is not None
        status = DecisionStatus.APPLIED if _is_confirmed(recorded, shown) else DecisionStatus.SUPERSEDED
        await self._answer(attempt, status, 200, _told(answer, shown))
        async with self._database.begin() as connection:
            await see_status(connection, submission, shown.status)
        return status

    async def _intend(self, recorded: Recorded, lease: Lease | None) -> int:
        """The attempt, on disk. Raises LeaseLost, RetryLater under a pause, or _NoLongerMeant."""
        async with self._database.begin() as connection:
            if lease and not await is_held(connection, lease):
                raise LeaseLost
            if not await self._is_still_meant(connection, recorded):
                raise _NoLongerMeant
            await self._check_pause(connection, recorded)
            return await add_attempt(connection, recorded.id, recorded.decision.action)

    async def _is_still_meant(self, connection: AsyncConnection, recorded: Recorded) -> bool:
        """Whether nobody decided otherwise meanwhile: until this intent is on disk nobody can."""
        decision = recorded.decision
        await lock_study(connection, decision.study_id or "")
        last = await newest(connection, decision.submission_id)
        return last is not None and last.id == recorded.id

    async def _check_pause(self, connection: AsyncConnection, recorded: Recorded) -> None:
        """The last look before anything is sent; the next review records it as held."""
        decision = recorded.decision
        if decision.trigger is not Trigger.PERSON and await pause_of(connection, decision.study_id):
            raise RetryLater(SHORTLY, "it was paused meanwhile")

    async def settle(self, recorded: Recorded, submission: Submission) -> DecisionStatus:
        """Prolific's own state says what became of a decision that was not confirmed."""
        status = DecisionStatus.ALREADY if has_reached(recorded, submission) else DecisionStatus.SUPERSEDED
        async with self._database.begin() as connection:
            attempt = await add_attempt(connection, recorded.id, None)
            await add_answer(connection, attempt, status, None, {"status": submission.status.value})
        self._metrics.applications.labels(status.value).inc()
        return status

    async def _call(self, recorded: Recorded, last_look: LastLook) -> Submission | ReturnRequest:
        submission, request = recorded.decision.submission_id, recorded.decision.action
        assert request is not None
        if request["endpoint"] == "request-return":
            reasons = request["body"]["request_return_reasons"]
            return await self._prolific.request_return(submission, reasons, last_look=last_look)
        return await self._prolific.transition(submission, request["body"], last_look=last_look)

    async def _shown(self, recorded: Recorded, answer: Submission | ReturnRequest) -> Submission:
        """Where a 2xx tells of another status than was wanted, the submission itself says what became of it.

        Raises Unreadable where it doesn't: then nobody knows whether the request was taken.
        """
        why = f"{recorded.decision.outcome} was answered with {answer.status}"
        try:
            shown = await self._prolific.submission(recorded.decision.submission_id)
        except ProlificError as error:
            raise Unreadable(200, f"{why}; then {error}") from error
        if has_reached(recorded, shown) or shown.status.is_final:
            return shown
        raise Unreadable(200, f"{why}, and it is {shown.status}.")

    async def _refused(self, recorded: Recorded, attempt: int, error: ProlificError) -> DecisionStatus:
        after = await self._troubles.meet(recorded.decision.submission_id, error)
        code = error.status_code if isinstance(error, Refused) else None
        status = DecisionStatus.PENDING if after else DecisionStatus.FAILED
        await self._answer(attempt, status, code, _answer_of(error))
        if is_refusal(error) and not isinstance(error, NotFound | Unauthorised):
            submission = await self._fetched(recorded, error)
            if submission.status is not Status.AWAITING_REVIEW or has_reached(recorded, submission):
                return await self.settle(recorded, submission)
        if after:
            raise RetryLater(after, str(error))
        log.error("decision.failed", decision_id=recorded.id, error=str(error), code=error.code)
        return DecisionStatus.FAILED

    async def _fetched(self, recorded: Recorded, refusal: ProlificError) -> Submission:
        """What a refused transition is to be judged by."""
        try:
            return await self._prolific.submission(recorded.decision.submission_id)
        except ProlificError as error:
            raise RetryLater(SOON, f"{refusal}; then {error}") from error

    async def _answer(
        self, attempt: int, status: DecisionStatus, status_code: int | None, answer: Any
    ) -> None:
        async with self._database.begin() as connection:
            await add_answer(connection, attempt, status, status_code, answer)
        self._metrics.applications.labels(status.value).inc()


def has_reached(recorded: Recorded, submission: Submission | ReturnRequest) -> bool:
    """Whether the submission is where the decision wanted it."""
    outcome = recorded.decision.outcome
    if outcome is Outcome.REQUEST_RETURN and submission.return_requested_at is not None:
        return True
    return submission.status in REACHED[outcome]


def _is_confirmed(recorded: Recorded, answer: Submission | ReturnRequest) -> bool:
    """Whether a 2xx tells what was wanted; who was asked to return it mostly has not done so yet."""
    asked = recorded.decision.outcome is Outcome.REQUEST_RETURN
    return has_reached(recorded, answer) or (asked and answer.status is Status.AWAITING_REVIEW)


def _told(answer: Submission | ReturnRequest, shown: Submission | ReturnRequest) -> dict[str, Any]:
    at = answer.return_requested_at
    told = {"status": answer.status.value} | ({"return_requested": at.isoformat()} if at else {})
    return told if shown is answer else told | {"shown": shown.status.value}


def _answer_of(error: ProlificError) -> dict[str, Any]:
    answer = {"error": error.code, "message": str(error)}
    return answer | ({"body": error.answer} if isinstance(error, Refused) and error.answer else {})
