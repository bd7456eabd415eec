"""The action of a manual decision, from the API, the command line or a sheet: as in a rule, without placeholders."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from service.domain.decision import MESSAGE_LENGTH, REJECTION_CATEGORIES, Action, Outcome, RequestReturn
from service.errors import AutoreviewError
from service.manual.texts import cleaned, excerpt
from service.rules.format.actions import Actions
from service.rules.format.findings import Code
from service.rules.format.values import refused, wrong

MOST_REASONS = 20
OBJECT_NEEDED = "an object is needed"
MISSING = {
    "category": f": one of {', '.join(REJECTION_CATEGORIES)}",
    "message": f": {MESSAGE_LENGTH} characters or more for the participant",
}


class InvalidAction(AutoreviewError):
    """The action is invalid. ``problems`` are (field, message); an empty field means the whole action."""

    code = "invalid_action"

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__(
            "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems)
        )
        self.problems = problems


class _PersonTexts:
    """Reads a person's texts: without placeholders, cleaned of what can't be stored or sent."""

    def text(self, value: object) -> str:
        if not isinstance(value, str):
            raise refused(value, "a text")
        try:
            return cleaned(value)
        except ValueError as error:
            raise wrong(Code.BAD_VALUE, str(error)) from None

    participant_text = text

    def message(self, value: object) -> str:
        text = self.text(value)
        if len(text) < MESSAGE_LENGTH:
            problem = f"Prolific requires {MESSAGE_LENGTH} characters or more, and it has {len(text)}"
            raise wrong(Code.MESSAGE_TOO_SHORT, problem)
        return text


# What commands and sheets call the fields of each action, which are flat there.
FLAT: dict[Outcome, dict[str, str]] = {
    Outcome.APPROVE: {},
    Outcome.REJECT: {"category": "category", "message": "message"},
    Outcome.REQUEST_RETURN: {"reasons": "reasons"},
    Outcome.COMPLETE: {
        "code_type": "code_type",
        "code": "code",
        "percentage": "percentage_of_reward",
        "message": "message_to_participant",
    },
    Outcome.HOLD: {"reasons": ""},
}


def read_action(given: Any) -> Action:
    """Return the only action in ``{"reject": {...}}`` and the like. Raise InvalidAction with all problems."""
    names = [outcome.value for outcome in Outcome]
    if not isinstance(given, Mapping) or len(given) != 1 or not set(given) <= set(names):
        raise InvalidAction(("", f"an action is an object with one of {', '.join(names)}"))
    ((name, fields),) = given.items()
    # Only an approval needs no fields.
    if fields is None and name != Outcome.APPROVE:
        raise InvalidAction((name, "a text is needed" if name == Outcome.HOLD else OBJECT_NEEDED))
    return _read(Outcome(name), fields)


def action_of(name: str, given: Mapping[str, Any]) -> Action:
    """Return the action of a command or a row from its name and its fields as in ``FLAT``. Empty fields are ignored.

    Raise InvalidAction, with the fields named as in ``FLAT``.
    """
    outcome = outcome_of(name)
    known = FLAT[outcome]
    given = filled(given)
    # A message to a participant whose submission is approved would never be sent: better refused than
    # dropped.
    if strange := sorted(set(given) - set(known)):
        raise InvalidAction(*((field, f"{outcome} does not take it") for field in strange))
    fields: Any = {known[field]: value for field, value in given.items()}
    if outcome is Outcome.HOLD:
        reasons = fields.get("", [""])
        if len(reasons) > 1:
            raise InvalidAction(("reasons", "a hold has one reason"))
        (fields,) = reasons
    try:
        return _read(outcome, fields)
    except InvalidAction as error:
        flat = {own: field for field, own in known.items()}
        parts = [(field.split("."), problem) for field, problem in error.problems]
        named = [(part[1] if len(part) > 1 else "", problem) for part, problem in parts]
        raise InvalidAction(*((flat.get(field, field), problem) for field, problem in named)) from None


def filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not empty. Zero is a value."""
    return {field: value for field, value in given.items() if value not in (None, "", [])}


def outcome_of(name: str) -> Outcome:
    """Return the outcome of a name: ``Request return`` is ``request_return``. Raise InvalidAction."""
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    names = [outcome.value for outcome in Outcome]
    if wanted in names:
        return Outcome(wanted)
    near = get_close_matches(wanted, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InvalidAction(("action", f"{name!r} is none of {', '.join(names)}{hint}"))


def _read(outcome: Outcome, given: Any) -> Action:
    try:
        action = Actions.model_validate({outcome.value: given}, context=_PersonTexts()).action()
    except ValidationError as error:
        raise InvalidAction(*(_problem(problem) for problem in error.errors())) from None
    if isinstance(action, RequestReturn) and len(action.reasons) > MOST_REASONS:
        problem = f"{MOST_REASONS} reasons are the most, and these are {len(action.reasons)}"
        raise InvalidAction((f"{outcome}.reasons", problem))
    return action


def _problem(problem: Any) -> tuple[str, str]:
    place = problem["loc"]
    # The model marks words as Markdown does, for editors; answers and terminals show plain text.
    text = str(problem["msg"]).replace("`", "")
    if problem["type"] == "missing":
        text = f"is missing{MISSING.get(str(place[-1]), '')}"
    elif problem["type"] == Code.WRONG_TYPE and len(place) == 1 and place[0] != Outcome.HOLD:
        text = OBJECT_NEEDED
    return ".".join(excerpt(str(part)) for part in problem["loc"]), text
