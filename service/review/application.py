"""Applying a decision: an intent on disk, the call, its answer on disk; settled by what is fetched."""

from datetime import timedelta
from typing import Any

import structlog

from service.domain.decision import DecisionStatus, Outcome
from service.domain.submission import Status, Submission
from service.errors import ProlificError
from service.ops.metrics import Metrics
from service.prolific.client import Prolific
from service.prolific.errors import BadRequest, Refused
from service.review.treatment import RetryLater, retry_after
from service.store.database import Database
from service.store.decisions import Recorded, add_answer, add_attempt
from service.store.submissions import see_status

log = structlog.get_logger(__name__)

SOON = timedelta(seconds=30)

REACHED = {
    Outcome.APPROVE: {Status.APPROVED},
    Outcome.REJECT: {Status.REJECTED},
    Outcome.REQUEST_RETURN: {Status.RETURNED},
    Outcome.COMPLETE: {Status.PARTIALLY_APPROVED, Status.SCREENED_OUT, Status.APPROVED},
    Outcome.HOLD: set[Status](),
}


class Applier:
    """Does what was decided, once."""

    def __init__(self, prolific: Prolific, database: Database, metrics: Metrics) -> None:
        self._prolific = prolific
        self._database = database
        self._metrics = metrics

    async def apply(self, recorded: Recorded, tries: int) -> DecisionStatus:
        """Send the decision's request. Raises RetryLater where it should be tried again."""
        request = recorded.decision.action
        assert request is not None
        submission = recorded.decision.submission_id
        async with self._database.begin() as connection:
            attempt = await add_attempt(connection, recorded.id, request)
        try:
            answer = await self._call(submission, request)
        except ProlificError as error:
            self._metrics.prolific_errors.labels(error.code).inc()
            return await self._refused(recorded, attempt, error, tries)
        await self._answer(attempt, DecisionStatus.APPLIED, 200, answer)
        async with self._database.begin() as connection:
            await see_status(connection, submission, Status(answer["status"]))
        return DecisionStatus.APPLIED

    async def settle(self, recorded: Recorded, submission: Submission) -> DecisionStatus:
        """Prolific's own state says what became of a decision that was not confirmed."""
        status = DecisionStatus.ALREADY if has_reached(recorded, submission) else DecisionStatus.SUPERSEDED
        async with self._database.begin() as connection:
            attempt = await add_attempt(connection, recorded.id, None)
            await add_answer(connection, attempt, status, None, {"status": submission.status.value})
        self._metrics.applications.labels(status.value).inc()
        return status

    async def _call(self, submission: str, request: dict[str, Any]) -> dict[str, Any]:
        if request["endpoint"] == "request-return":
            asked = await self._prolific.request_return(submission, request["body"]["request_return_reasons"])
            at = asked.return_requested_at
            return {"status": asked.status.value, "return_requested": at.isoformat() if at else None}
        return {"status": (await self._prolific.transition(submission, request["body"])).status.value}

    async def _refused(
        self, recorded: Recorded, attempt: int, error: ProlificError, tries: int
    ) -> DecisionStatus:
        after = retry_after(error, tries)
        code = error.status_code if isinstance(error, Refused) else None
        status = DecisionStatus.PENDING if after else DecisionStatus.FAILED
        await self._answer(attempt, status, code, _answer_of(error))
        if isinstance(error, BadRequest):
            submission = await self._fetched(recorded, error)
            if submission.status is not Status.AWAITING_REVIEW or has_reached(recorded, submission):
                return await self.settle(recorded, submission)
        if after:
            raise RetryLater(after, str(error))
        log.error("decision.failed", decision_id=recorded.id, error=str(error), code=error.code)
        return DecisionStatus.FAILED

    async def _fetched(self, recorded: Recorded, refusal: BadRequest) -> Submission:
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


def has_reached(recorded: Recorded, submission: Submission) -> bool:
    """Whether the submission is where the decision wanted it."""
    outcome = recorded.decision.outcome
    if outcome is Outcome.REQUEST_RETURN and submission.return_requested_at is not None:
        return True
    return submission.status in REACHED[outcome]


def _answer_of(error: ProlificError) -> dict[str, Any]:
    answer = {"error": error.code, "message": str(error)}
    return answer | ({"body": error.answer} if isinstance(error, Refused) and error.answer else {})
