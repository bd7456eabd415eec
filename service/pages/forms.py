"""A person's decision as a form of the dashboard has it, and exactly what it would send."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.decision import REJECTION_CATEGORIES, Action, Complete, Reject, RequestReturn
from service.domain.submission import RESEARCHER, Study
from service.manual.actions import outcome_of, read_action
from service.prolific.errors import NoSuchCode
from service.prolific.sending import action_request

CATEGORIES = REJECTION_CATEGORIES
OUTCOMES = ("approve", "reject", "request_return", "complete", "hold")


def action_in(form: Mapping[str, str]) -> dict[str, Any]:
    """Return a form's action as the API has it. Raise InvalidAction."""
    outcome = outcome_of(form.get("action", ""))
    match outcome.value:
        case "reject":
            fields: Any = _given(form, category="category", message="message")
        case "request_return":
            lines = form.get("reasons", "").replace("\r\n", "\n").split("\n")
            fields = {"reasons": [line.strip() for line in lines if line.strip()]}
        case "complete":
            fields = _given(form, code_type="code_type", message="message_to_participant")
            if percentage := form.get("percentage", "").strip():
                fields["percentage_of_reward"] = int(percentage) if percentage.isdecimal() else percentage
        case "hold":
            fields = form.get("reason", "")
        case _:
            fields = {}
    return {outcome.value: fields}


def _given(form: Mapping[str, str], **names: str) -> dict[str, Any]:
    return {own: form[field] for field, own in names.items() if form.get(field, "").strip()}


@dataclass(frozen=True, slots=True)
class Preview:
    """The lines that the participant reads, and the request to Prolific."""

    category: str | None
    texts: tuple[str, ...]
    request: dict[str, Any] | None
    problem: str | None = None


def preview_of(fields: Mapping[str, Any], study: Study | None) -> Preview:
    """Return exactly what would be sent for an action. Raise InvalidAction."""
    action = read_action(fields)
    try:
        request, problem = action_request(action, study), None
    except NoSuchCode as error:
        request, problem = None, str(error)
    category = action.category if isinstance(action, Reject) else None
    return Preview(category, _texts(action), dict(request) if request else None, problem)


def _texts(action: Action) -> tuple[str, ...]:
    match action:
        case Reject():
            return (action.message,)
        case RequestReturn():
            return tuple(action.reasons)
        case Complete():
            return (action.message_to_participant,) if action.message_to_participant else ()
        case _:
            return ()


def researcher_codes(study: Study | None) -> list[str]:
    """Return the types of the study's codes that only a researcher completes with."""
    codes = study.completion_codes if study else ()
    return sorted({code.code_type for code in codes if code.actor == RESEARCHER and code.code})
