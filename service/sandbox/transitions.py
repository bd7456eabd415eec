"""Transitions of submissions, and the refusal of those that Prolific would refuse."""

from typing import Any

from service.domain.decision import MESSAGE_LENGTH, REJECTION_CATEGORIES
from service.domain.submission import Status
from service.sandbox.answers import REQUIRED, Refusal, invalid, required
from service.sandbox.model import Body, By, SimStudy, SimSubmission, actions_of
from service.sandbox.state import SandboxState

NOT_SIMULATED = ("RETURN", "START", "SCREEN_OUT", "UNREJECT", "UNRETURN")  # undocumented
LEAST_SHARE, MOST_SHARE = 8, 99  # per cent of the reward


def transition(state: SandboxState, submission: SimSubmission, body: Body) -> None:
    """Carry out a transition. The same one again is ignored. Raise ``Refusal``."""
    if submission.last_request == body:
        return
    status = outcome(body, state.studies[submission.study_id])
    _must_await_review(submission, str(body["action"]))
    if status is Status.REJECTED and not state.may_reject():
        raise Refusal(400, "You have reached the limit of rejections.")
    if not state.pay(cost(status, body, state.studies[submission.study_id])):
        raise Refusal(400, "There are not enough funds in the workspace.")
    submission.last_request = body
    if status is Status.AWAITING_REVIEW:
        state.affected.append(submission.id)
    else:
        state.change(submission, status, By.API)


def request_return(state: SandboxState, submission: SimSubmission, body: Body) -> None:
    reasons = body.get("request_return_reasons")
    if reasons is None:
        raise invalid("request_return_reasons", REQUIRED)
    if not isinstance(reasons, list) or not reasons or not all(_says_something(text) for text in reasons):
        raise invalid("request_return_reasons", "A list of one or more texts is expected.")
    if submission.return_requested is not None:
        raise Refusal(400, "A return has already been requested for this submission.")
    _must_await_review(submission, "request a return")
    state.ask_to_return(submission)


def outcome(body: Body, study: SimStudy) -> Status:
    """Check a transition's body and return the status it leads to. Raise ``Refusal``."""
    action = required(body, "action")
    match action:
        case "APPROVE":
            return Status.APPROVED
        case "REJECT":
            _check_rejection(body)
            return Status.REJECTED
        case "COMPLETE":
            return _completion(body, study)
    if action in NOT_SIMULATED:
        raise invalid("action", f'"{action}" is not available here.')
    raise invalid("action", f'"{action}" is not a valid choice.')


def cost(status: Status, body: Body, study: SimStudy) -> float:
    """Return what a transition to the status pays in minor units, without Prolific's fees."""
    match status:
        case Status.APPROVED:
            return study.reward
        case Status.PARTIALLY_APPROVED:
            return study.reward * float(body["completion_code_data"]["percentage_of_reward"]) / 100
        case Status.SCREENED_OUT:
            code = study.researcher_code(body["completion_code"]) or {"actions": []}
            return sum(float(action.get("fixed_screen_out_reward", 0)) for action in code["actions"])
        case _:
            return 0


def _check_rejection(body: Body) -> None:
    problems: dict[str, list[str]] = {}
    message, category = body.get("message"), body.get("rejection_category")
    if not isinstance(message, str):
        problems["message"] = [REQUIRED]
    elif len(message.strip()) < MESSAGE_LENGTH:
        problems["message"] = [f"Ensure this field has at least {MESSAGE_LENGTH} characters."]
    if category is None:
        problems["rejection_category"] = [REQUIRED]
    elif category not in REJECTION_CATEGORIES:
        problems["rejection_category"] = [f'"{category}" is not a valid choice.']
    if problems:
        raise Refusal(400, problems)


def _completion(body: Body, study: SimStudy) -> Status:
    entered = required(body, "completion_code")
    code = study.researcher_code(entered)
    if code is None:
        raise invalid("completion_code", "This is none of the study's codes for researchers.")
    actions = actions_of(code)
    if "DYNAMIC_PAYMENT" in actions:
        _check_payment(body.get("completion_code_data"))
        return Status.PARTIALLY_APPROVED
    if "FIXED_SCREEN_OUT_PAYMENT" in actions:
        return Status.SCREENED_OUT
    return Status.APPROVED if "AUTOMATICALLY_APPROVE" in actions else Status.AWAITING_REVIEW


def _check_payment(data: Any) -> None:
    if not isinstance(data, dict) or data.get("percentage_of_reward") is None:
        raise invalid("percentage_of_reward", REQUIRED)
    share = data["percentage_of_reward"]
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise invalid("percentage_of_reward", "A valid number is required.")
    if not LEAST_SHARE <= share <= MOST_SHARE:
        raise invalid("percentage_of_reward", f"Must be between {LEAST_SHARE} and {MOST_SHARE}.")
    if not isinstance(data.get("message_to_participant", ""), str):
        raise invalid("message_to_participant", "Not a valid string.")


def _must_await_review(submission: SimSubmission, what: str) -> None:
    if submission.status is not Status.AWAITING_REVIEW:
        raise Refusal(400, f"Cannot {what}: the submission's status is {submission.status.value}.")


def _says_something(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())
