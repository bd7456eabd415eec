"""Apply a decision: send its request, and derive its status from the answer."""

from dataclasses import dataclass
from typing import Any

from service.domain.decision import DecisionStatus, Outcome
from service.domain.submission import Status, Submission
from service.errors import ProlificError
from service.prolific.client import Prolific
from service.prolific.errors import NotFound, Refused, Unauthorised, Unreachable, Unreadable
from service.prolific.payloads import ReturnRequest
from service.review.next_step import has_reached
from service.review.retry_policy import is_refusal
from service.store.decisions import Recorded
from service.store.reviews import Answer


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of a request that succeeded. ``shown`` is the status in an answer that is reliable, else None."""

    status: DecisionStatus
    answer: dict[str, Any]
    shown: Status | None

    def stored(self, attempt: int) -> Answer:
        return Answer(attempt, self.status, 200, self.answer, self.shown)


@dataclass(frozen=True, slots=True)
class Failed:
    """The result of a request that failed. The retry policy decides what follows.

    After a refusal the submission is fetched, because somebody else may have decided it first: ``shown`` is the
    submission, ``not_shown`` the error of that fetch.
    """

    error: ProlificError
    shown: Submission | None = None
    not_shown: ProlificError | None = None

    def stored(self, attempt: int, status: DecisionStatus) -> Answer:
        code = self.error.status_code if isinstance(self.error, Refused) else None
        return Answer(attempt, status, code, _error_summary(self.error))


async def apply(recorded: Recorded, prolific: Prolific) -> Applied | Failed:
    """Send the decision's request once. Fetch the submission if the answer does not confirm the outcome."""
    try:
        answer = await _send(recorded, prolific)
        shown = answer if _is_confirmed(recorded, answer) else await _fetch(recorded, answer, prolific)
    except ProlificError as error:
        return await _failed(recorded, error, prolific)
    status = DecisionStatus.APPLIED if _is_confirmed(recorded, shown) else DecisionStatus.SUPERSEDED
    # Prolific's documented answer to a request to return shows RETURNED, although the participant was only asked.
    reliable = shown.status if isinstance(shown, Submission) else None
    return Applied(status, _summary(answer, shown), reliable)


def settled(recorded: Recorded, submission: Submission) -> DecisionStatus:
    """Return the status that a fetched submission shows of a decision whose answer is unknown."""
    return DecisionStatus.ALREADY if has_reached(recorded, submission) else DecisionStatus.SUPERSEDED


async def _send(recorded: Recorded, prolific: Prolific) -> Submission | ReturnRequest:
    submission, request = recorded.decision.submission_id, recorded.decision.action
    assert request is not None
    if request["endpoint"] == "request-return":
        return await prolific.request_return(submission, request["body"]["request_return_reasons"])
    return await prolific.transition(submission, request["body"])


async def _fetch(recorded: Recorded, answer: Submission | ReturnRequest, prolific: Prolific) -> Submission:
    """Fetch a submission after a 2xx that shows another status than the wanted one.

    Raise Unreadable if the fetched status does not show the result either.
    """
    why = f"{recorded.decision.outcome} was answered with {answer.status}"
    try:
        shown = await prolific.submission(recorded.decision.submission_id)
    except ProlificError as error:
        raise Unreadable(200, f"{why}; then {error}") from error
    # A final status of another kind: somebody else decided at the same time.
    if has_reached(recorded, shown) or shown.status.is_final:
        return shown
    raise Unreadable(200, f"{why}, and it is {shown.status}.")


async def _failed(recorded: Recorded, error: ProlificError, prolific: Prolific) -> Failed:
    # A fetch after a 404, 401 or 403 would get the same answer.
    if not is_refusal(error) or isinstance(error, NotFound | Unauthorised):
        return Failed(error)
    try:
        return Failed(error, shown=await prolific.submission(recorded.decision.submission_id))
    except ProlificError as second:
        return Failed(error, not_shown=second)


def _is_confirmed(recorded: Recorded, answer: Submission | ReturnRequest) -> bool:
    """Return True if a 2xx shows the wanted status. A request to return leaves AWAITING REVIEW until the return."""
    asked = recorded.decision.outcome is Outcome.REQUEST_RETURN
    return has_reached(recorded, answer) or (asked and answer.status is Status.AWAITING_REVIEW)


def _summary(answer: Submission | ReturnRequest, shown: Submission | ReturnRequest) -> dict[str, Any]:
    at = answer.return_requested_at
    found = {"status": answer.status.value} | ({"return_requested": at.isoformat()} if at else {})
    return found if shown is answer else found | {"shown": shown.status.value}


def _error_summary(error: ProlificError) -> dict[str, Any]:
    answer: dict[str, Any] = {"error": error.code, "message": str(error)}
    if isinstance(error, Unreachable):
        answer["sent"] = error.sent  # False: no connection was made, so the request can't have arrived
    return answer | ({"body": error.answer} if isinstance(error, Refused) and error.answer else {})
