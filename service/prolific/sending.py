"""The request of each decision: a pure function of the action and its study."""

from typing import Any, assert_never

from service.domain.decision import (
    Action,
    ActionRequest,
    AlsoActions,
    AlsoRequest,
    Approve,
    Complete,
    Hold,
    Reject,
    RequestReturn,
)
from service.domain.submission import RESEARCHER, CompletionCode, Study
from service.prolific.errors import NoSuchCode


def action_request(action: Action, study: Study | None) -> ActionRequest | None:
    """Return the request for an action, None for a hold. Raise NoSuchCode as ``researcher_code`` does."""
    match action:
        case Approve():
            return _transition({"action": "APPROVE"})
        case Reject():
            return _transition(
                {"action": "REJECT", "rejection_category": action.category, "message": action.message}
            )
        case RequestReturn():
            body = {"request_return_reasons": list(action.reasons)}
            return {"endpoint": "request-return", "body": body}
        case Complete():
            # The code that pays is one of the study's: a guessed one might pay another amount.
            if study is None:
                raise NoSuchCode("The study is not known, and neither are its codes.")
            return _transition(_completion(action, study))
        case Hold():
            return None
        case _:
            assert_never(action)


def also_requests(also: AlsoActions, participant: str, study: str) -> tuple[AlsoRequest, ...]:
    """Build the requests for what is done beside an outcome, in the order in which they are sent."""
    members = {"participant_ids": [participant]}
    found: list[AlsoRequest] = []
    if also.add_to_group:
        found.append({"endpoint": "add-to-group", "group": also.add_to_group, "body": members})
    if also.remove_from_group:
        found.append({"endpoint": "remove-from-group", "group": also.remove_from_group, "body": members})
    if also.message:
        body = {"recipient_id": participant, "body": also.message, "study_id": study}
        found.append({"endpoint": "message", "group": None, "body": body})
    return tuple(found)


def researcher_code(action: Complete, study: Study) -> CompletionCode:
    """Return the study's only researcher code with this code or type. Raise NoSuchCode for none or several."""
    codes = [code for code in study.completion_codes if code.actor == RESEARCHER and code.code]
    if action.code is not None:
        wanted = action.code
        found = [code for code in codes if code.code == wanted][:1]
    else:
        wanted = action.code_type or "of no type"
        found = [code for code in codes if code.code_type == action.code_type]
    # Codes of one type may pay differently, so that none of several is taken.
    if len(found) != 1:
        how_many = "no" if not found else "several"
        raise NoSuchCode(f"Study {study.id} has {how_many} researcher codes {wanted}.")
    return found[0]


def _completion(action: Complete, study: Study) -> dict[str, Any]:
    code = researcher_code(action, study)
    body: dict[str, Any] = {"action": "COMPLETE", "completion_code": code.code}
    # Only these codes take a percentage. A fixed screen-out pays what the study says.
    if code.pays_dynamically:
        body["completion_code_data"] = _payment(action, code, study)
    return body


def _payment(action: Complete, code: CompletionCode, study: Study) -> dict[str, Any]:
    if action.percentage_of_reward is None:
        raise NoSuchCode(f"Code {code.code} of study {study.id} pays a percentage, and none is given.")
    data: dict[str, Any] = {"percentage_of_reward": action.percentage_of_reward}
    if action.message_to_participant:
        data["message_to_participant"] = action.message_to_participant
    return data


def _transition(body: dict[str, Any]) -> ActionRequest:
    return {"endpoint": "transition", "body": body}
