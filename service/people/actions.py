"""A person's action, as the API and the command line say it: the same as a rule's, its texts as they are."""

from collections.abc import Mapping
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


def _printable(text: str) -> str:
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("control characters and the like can't be sent")
    return text


Text = Annotated[str, Field(min_length=1, max_length=5000), AfterValidator(_printable)]


class InvalidAction(AutoreviewError):
    """This is no action that could be taken."""

    code = "invalid_action"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, strict=True)


class _Reject(_Closed):
    category: str
    message: Annotated[Text, Field(min_length=MESSAGE_LENGTH)]

    @model_validator(mode="after")
    def _known(self) -> "_Reject":
        if self.category not in REJECTION_CATEGORIES:
            raise ValueError(f"category is none of {', '.join(REJECTION_CATEGORIES)}")
        return self


class _RequestReturn(_Closed):
    reasons: Annotated[list[Text], Field(min_length=1, max_length=20)]


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


class _Empty(_Closed):
    pass


class _Actions(_Closed):
    approve: _Empty | None = None
    reject: _Reject | None = None
    request_return: _RequestReturn | None = None
    complete: _Complete | None = None
    hold: Text | None = None


def read_action(said: Any) -> Action:
    """The one action in ``{"reject": {...}}`` and its like. Raises InvalidAction with all that is wrong."""
    names = [outcome.value for outcome in Outcome]
    if not isinstance(said, Mapping) or len(said) != 1:
        raise InvalidAction(f"an action is an object with one of {', '.join(names)}")
    try:
        actions = _Actions.model_validate(said)
    except ValidationError as error:
        raise InvalidAction("; ".join(_sentence(problem) for problem in error.errors())) from None
    return _action(actions)


def _action(said: _Actions) -> Action:
    if said.reject:
        return Reject(said.reject.category, said.reject.message)
    if said.request_return:
        return RequestReturn(tuple(said.request_return.reasons))
    if said.complete:
        return Complete(**said.complete.model_dump())
    if said.hold is not None:
        return Hold(said.hold)
    return Approve()


def _sentence(problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    said = str(problem["msg"]).removeprefix("Value error, ")
    return f"{path}: {said}" if path else said
