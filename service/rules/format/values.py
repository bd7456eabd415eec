"""Types of values in the rule format: each has a validator and a JSON Schema.

A validator takes what a file holds (a ``Scalar``, so that the text stays as written) or what JSON holds.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Protocol, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import with_info_plain_validator_function

from service.rules.format.document import Scalar
from service.rules.format.findings import Code, shortened
from service.rules.lint.names import FALSE, TRUE, did_you_mean

NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# A text. A value that looks like a number keeps its digits as written.
TEXT_SCHEMA: dict[str, Any] = {"type": ["string", "number"], "pattern": r"\S"}
NULLABLE_TEXT = {"type": ["string", "number", "null"]}


@dataclass(frozen=True, slots=True, eq=False)  # as metadata of a type it has to be hashable
class Reads:
    """The metadata of a type: its validator and its JSON Schema."""

    read: Callable[[Any, ValidationInfo], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


class Context(Protocol):
    """Reads texts. Those of a file may have placeholders, those of a person are sent unchanged."""

    def text(self, value: object) -> str:
        """Return a text that is not sent to people."""

    def participant_text(self, value: object) -> str:
        """Return a text that a participant or a person reads."""

    def message(self, value: object) -> str:
        """Return the message of a rejection, which has a minimum length."""


def wrong(code: Code, message: str, **place: Any) -> PydanticCustomError:
    """Return an error to raise. Of ``place``, ``key=True`` is at the key, ``offset`` is within the text."""
    return PydanticCustomError(code.value, "{message}", {"message": message, **place})


def unknown_key(message: str) -> PydanticCustomError:
    return PydanticCustomError(
        Code.UNKNOWN_KEY.value, "Extra inputs are not permitted", {"message": message, "key": True}
    )


def detail(error: PydanticCustomError, *loc: str | int) -> InitErrorDetails:
    return InitErrorDetails(type=error, loc=loc, input=None)


def refuse_all(details: Iterable[InitErrorDetails]) -> None:
    """Raise several errors of one value, if there are any."""
    if found := list(details):
        raise ValidationError.from_exception_data("value", found)


def refused(value: object, wanted: str, hint: str = "") -> PydanticCustomError:
    return wrong(Code.WRONG_TYPE, f"must be {wanted}, not {described(value)}{hint}")


def keyed(example: str) -> BeforeValidator:
    """Return a check that a value is a mapping; ``example`` shows one entry."""

    def check(value: object) -> object:
        if not isinstance(value, dict):
            raise refused(value, "a mapping (`key: value`)", f": write `{example}`")
        return value

    return BeforeValidator(check)


def one_line(value: object) -> str:
    """Return a text as messages quote it, or dots for what is no text."""
    return shortened(value.value) if isinstance(value, Scalar) and not value.is_null else "…"


class Closed(BaseModel):
    """A mapping of known keys. All errors are collected, those of the keys as a whole too."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def keys(cls) -> list[str]:
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        """Yield the errors of the keys as a whole."""
        del given
        return ()

    @classmethod
    def unknown(cls, key: str, context: Any) -> PydanticCustomError:
        del context
        return unknown_key(f"there is no key `{key}` here{did_you_mean(key, cls.keys())}")

    @classmethod
    def refusal(cls, given: object) -> str:
        """Return the message about a value that is no mapping."""
        return f"must be a mapping (`key: value`), not {described(given)}"

    @model_validator(mode="wrap")
    @classmethod
    def _whole(cls, given: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        keys = given if isinstance(given, dict) else None
        if keys is None and not isinstance(given, cls):
            raise wrong(Code.WRONG_TYPE, cls.refusal(given))
        found, read = list[InitErrorDetails](), None
        try:
            read = handler(given)
        except ValidationError as error:
            found = [cls._raised(problem, info.context) for problem in error.errors(include_url=False)]
        found += [] if keys is None else cls.together(keys)
        if found or read is None:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return read

    @classmethod
    def _raised(cls, problem: Any, context: Any) -> InitErrorDetails:
        """Return an error that can be raised again. pydantic gives only its parts."""
        kind, loc, context_of = problem["type"], problem["loc"], problem.get("ctx", {})
        if kind == "extra_forbidden":
            kind = cls.unknown(str(loc[-1]), context)
        elif "message" in context_of:
            text = "Extra inputs are not permitted" if kind == Code.UNKNOWN_KEY else "{message}"
            kind = PydanticCustomError(kind, text, context_of)
        return InitErrorDetails(type=kind, loc=loc, input=problem["input"], ctx=context_of)


def described(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if is_null(value):
        return "nothing"
    if isinstance(value, bool) or (isinstance(value, Scalar) and value.is_bool):
        return value.value if isinstance(value, Scalar) else str(value).lower()
    entered = value.value if isinstance(value, Scalar) else str(value)
    is_number = isinstance(value, int | float) or (
        isinstance(value, Scalar) and value.plain and NUMBER.fullmatch(entered)
    )
    return f"the number {shortened(entered)}" if is_number else f"the text `{shortened(entered)}`"


def text(value: object) -> str:
    """Return a text as written. A value that looks like a number to YAML keeps its digits."""
    if isinstance(value, dict) and all(is_null(item) for item in value.values()):
        entered = "; a text that starts with `{` goes in quotes"
        raise refused(value, "a text", entered)
    if not isinstance(value, Scalar) or value.is_null or value.is_bool:
        raise refused(value, "a text (in quotes, where YAML reads something else)")
    if not value.value.strip():
        raise wrong(Code.EMPTY, "an empty text")
    if "\0" in value.value:
        raise wrong(Code.BAD_VALUE, "a text can't hold the character NUL")
    return value.value


def written(value: object) -> str:
    """Return a text that may be empty."""
    if isinstance(value, Scalar) and not value.plain and not value.value.strip():
        return value.value
    return text(value)


def flag(value: object) -> bool:
    if isinstance(value, Scalar) and value.is_bool:
        return value.value == "true"
    word = value.value.lower() if isinstance(value, Scalar) else ""
    meant = "true" if word in TRUE else "false" if word in FALSE else None
    raise refused(value, "true or false", f": write `{meant}`" if meant else "")


def chosen(entered: str, allowed: Collection[str]) -> str:
    if entered in allowed:
        return entered
    if written := next((name for name in allowed if _folded(name) == _folded(entered)), None):
        raise wrong(Code.BAD_VALUE, f"`{shortened(entered)}` must be written `{written}`")
    hint = did_you_mean(entered, allowed) or did_you_mean(entered.upper(), allowed)
    raise wrong(Code.BAD_VALUE, f"`{shortened(entered)}` is none of {', '.join(allowed)}{hint}")


def _folded(name: str) -> str:
    """Return a name in one spelling: ``Failed check`` and ``failed-check`` become FAILED_CHECK."""
    return re.sub("[-_ ]+", "_", name.strip().lower())


def one_of(allowed: Sequence[str], *, or_null: bool = False) -> Reads:
    """Read a text that is one of ``allowed``; of an enum, its member."""
    kind = type(allowed[0]) if isinstance(allowed[0], StrEnum) else str

    def read(value: object, info: ValidationInfo) -> str | None:
        if or_null and is_null(value):
            return None
        context: Any = info.context
        return kind(chosen(context.text(value), allowed))

    return Reads(read, {"enum": [*map(str, allowed), *[None] * or_null]})


def is_null(value: object) -> bool:
    return value is None or (isinstance(value, Scalar) and value.is_null)


def listed(of: str, least: int = 1, example: str = "") -> BeforeValidator:
    """Return a check that a value is a list of so many items or more; ``example`` may have ``{}`` for a text."""

    def check(value: object) -> object:
        if not isinstance(value, list):
            hint = example and f": write `{example.format(one_line(value))}`"
            raise refused(value, f"a list of {of}", hint)
        if len(value) < least:
            raise wrong(Code.EMPTY, f"an empty list; it needs {of}")
        return value

    return BeforeValidator(check)


def filled(code: Code, message: str) -> BeforeValidator:
    """Refuse an empty mapping."""

    def check(given: object) -> object:
        if given == {}:
            raise wrong(code, message)
        return given

    return BeforeValidator(check)


Text = Annotated[str, Reads(lambda value, info: info.context.text(value), TEXT_SCHEMA)]
ParticipantText = Annotated[str, Reads(lambda value, info: info.context.participant_text(value), TEXT_SCHEMA)]
Flag = Annotated[bool, Reads(lambda value, _: flag(value), {"type": "boolean"})]
