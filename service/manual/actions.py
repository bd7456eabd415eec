"""A person's action, as the API, the command line and a sheet say it: the same as a rule's, its texts as they are."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.domain.decision import (
    MESSAGE_LENGTH,
    REJECTION_CATEGORIES,
    Action,
    Approve,
    Complete,
    Hold,
    Outcome,
    Reject,
    RequestReturn,
)
from service.errors import AutoreviewError
from service.manual.texts import cleaned, excerpt


class InvalidAction(AutoreviewError):
    """This is no action that could be taken.

    ``problems`` are (field, sentence); the field is empty where it is the action as a whole.
    """

    code = "invalid_action"

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {said}" if field else said for field, said in problems))
        self.problems = problems


def _message(text: str) -> str:
    if len(text) < MESSAGE_LENGTH:
        raise ValueError(f"Prolific wants {MESSAGE_LENGTH} characters or more, and it has {len(text)}")
    return text


def _category(text: str) -> str:
    if text not in REJECTION_CATEGORIES:
        near = get_close_matches(text.upper(), REJECTION_CATEGORIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{excerpt(text)!r} is none of {', '.join(REJECTION_CATEGORIES)}{hint}")
    return text


Text = Annotated[str, AfterValidator(cleaned)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Approve(_Closed):
    def action(self) -> Action:
        return Approve()


class _Reject(_Closed):
    category: Annotated[Text, AfterValidator(_category)]
    message: Annotated[Text, AfterValidator(_message)]

    def action(self) -> Action:
        return Reject(self.category, self.message)


class _RequestReturn(_Closed):
    reasons: Annotated[list[Text], Field(min_length=1, max_length=20)]

    def action(self) -> Action:
        return RequestReturn(tuple(self.reasons))


class _Complete(_Closed):
    code_type: Text | None = None
    code: Text | None = None
    percentage_of_reward: Annotated[float, Field(ge=8, le=99)] | None = None
    message_to_participant: Text | None = None

    @model_validator(mode="after")
    def _one_code(self) -> "_Complete":
        if (self.code_type is None) == (self.code is None):
            raise ValueError("needs code_type or code, one of them")
        return self

    def action(self) -> Action:
        return Complete(**self.model_dump())


class _Hold(_Closed):
    reason: Text

    def action(self) -> Action:
        return Hold(self.reason)


_Form = _Approve | _Reject | _RequestReturn | _Complete | _Hold
FORMS: dict[Outcome, type[_Form]] = {
    Outcome.APPROVE: _Approve,
    Outcome.REJECT: _Reject,
    Outcome.REQUEST_RETURN: _RequestReturn,
    Outcome.COMPLETE: _Complete,
    Outcome.HOLD: _Hold,
}

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
    Outcome.HOLD: {"reasons": "reason"},
}


def read_action(said: Any) -> Action:
    """The one action in ``{"reject": {...}}`` and its like. Raises InvalidAction with all that is wrong."""
    names = [outcome.value for outcome in Outcome]
    if not isinstance(said, Mapping) or len(said) != 1 or not set(said) <= set(names):
        raise InvalidAction(("", f"an action is an object with one of {', '.join(names)}"))
    ((name, given),) = said.items()
    outcome = Outcome(name)
    if outcome is Outcome.HOLD:
        given = {"reason": given}
    if outcome is Outcome.APPROVE and given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise InvalidAction((name, "an object is needed"))
    return _read(outcome, given, name)


def action_of(name: str, given: Mapping[str, Any]) -> Action:
    """The action of a command or a row: its name, and its fields as in ``FLAT``; what is empty is not given.

    Raises InvalidAction, the fields named as they are here.
    """
    outcome = outcome_of(name)
    known = FLAT[outcome]
    given = filled(given)
    if strange := sorted(set(given) - set(known)):
        raise InvalidAction(*((field, f"nothing that {outcome} could take") for field in strange))
    fields = {known[field]: value for field, value in given.items()}
    if outcome is Outcome.HOLD and "reason" in fields:
        if len(fields["reason"]) > 1:
            raise InvalidAction(("reasons", "a hold has one reason"))
        (fields["reason"],) = fields["reason"]
    try:
        return _read(outcome, fields, "")
    except InvalidAction as error:
        flat = {own: field for field, own in known.items()}
        problems = [(flat.get(field.partition(".")[0], field), said) for field, said in error.problems]
        raise InvalidAction(*problems) from None


def filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something: a zero does."""
    return {field: value for field, value in given.items() if value not in (None, "", [])}


def outcome_of(name: str) -> Outcome:
    """``request-return`` and ``Request return`` are ``request_return``. Raises InvalidAction."""
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    names = [outcome.value for outcome in Outcome]
    if wanted in names:
        return Outcome(wanted)
    near = get_close_matches(wanted, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InvalidAction(("action", f"{name!r} is none of {', '.join(names)}{hint}"))


def _read(outcome: Outcome, given: Mapping[str, Any], at: str) -> Action:
    try:
        form = FORMS[outcome].model_validate(dict(given))
    except ValidationError as error:
        raise InvalidAction(*(_problem(problem, at) for problem in error.errors())) from None
    return form.action()


def _problem(problem: Any, at: str) -> tuple[str, str]:
    path = [at, *(excerpt(str(part)) for part in problem["loc"])]
    return ".".join(part for part in path if part), str(problem["msg"]).removeprefix("Value error, ")
