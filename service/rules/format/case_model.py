"""The model of a test in a rule file: given facts and expected results."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import InitErrorDetails

from service.domain.decision import REJECTION_CATEGORIES, Outcome
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.given_model import Given
from service.rules.format.values import (
    NULLABLE_TEXT,
    Closed,
    Flag,
    Reads,
    Text,
    detail,
    filled,
    is_null,
    one_of,
    text,
    wrong,
)
from service.rules.lint.names import did_you_mean

# The guards that depend on facts alone. A test knows nothing about the others.
GUARDS = ("undecidable", "waiting", "message", "no_such_code", "policy")
WOULD = "would"
OUTCOMES = tuple(outcome.value for outcome in Outcome)


def _rule_name(value: object, context: Any) -> str | None:
    """Read the name of the rule that decides. None stands for ``otherwise``."""
    if is_null(value):
        return None
    name = text(value)
    if name not in context.rules:
        hint = "; write null" if name == "otherwise" else did_you_mean(name, context.rules)
        raise wrong(Code.BAD_VALUE, f"no rule of this file is called ‘{name}’{hint}")
    if name in context.observed:
        raise wrong(Code.BAD_VALUE, f"‘{name}’ is only observed: expect it under `would`")
    return name


def _observed(name: str, info: ValidationInfo) -> str:
    context: Any = info.context
    if name not in context.rules:
        hint = did_you_mean(name, context.observed)
        raise wrong(Code.BAD_VALUE, f"no rule of this file is called ‘{name}’{hint}")
    if name not in context.observed:
        raise wrong(Code.BAD_VALUE, f"‘{name}’ is not observed, it decides: expect it as `rule`")
    return name


def _or_null(value: object) -> str | None:
    return None if is_null(value) else text(value)


class Expect(Closed):
    """The expected results."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    outcome: Annotated[str, one_of(OUTCOMES)] | None = Field(None, description="The outcome.")
    rule: Annotated[str, Reads(lambda value, info: _rule_name(value, info.context), NULLABLE_TEXT)] | None = (
        Field(None, description="The rule that decides; null for otherwise.")
    )
    reason: Text | None = Field(None, description="Stands in the decision's sentence.")
    message: Text | None = Field(None, description="Occurs in the text for the participant.")
    category: Annotated[str, one_of(REJECTION_CATEGORIES, or_null=True)] | None = Field(
        None, description="The category of the rejection."
    )
    tag: Annotated[str, Reads(lambda value, _: _or_null(value), NULLABLE_TEXT)] | None = Field(
        None, description="The tag of the decision."
    )
    guard: Annotated[str, one_of(GUARDS, or_null=True)] | None = Field(
        None, description="The guard that holds the decision."
    )
    undecidable: Flag | None = Field(None, description="true: the guard is undecidable.")
    would: (
        Annotated[
            dict[
                Annotated[str, AfterValidator(_observed)],
                Annotated[str | None, one_of(OUTCOMES, or_null=True)],
            ],
            filled(Code.NOTHING_EXPECTED, "names no rule"),
        ]
        | None
    ) = Field(
        None,
        description="The outcome of observed rules, by name; null: they do not match.",
        json_schema_extra={"minProperties": 1},
    )

    @classmethod
    def refusal(cls, given: object) -> str:
        entered = given.value if isinstance(given, Scalar) and given.value in OUTCOMES else "approve"
        return f"{super().refusal(given)}: write `expect: {{outcome: {entered}}}`"

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        if not given:
            message = f"expects nothing; name some of {', '.join(cls.keys())}"
            yield detail(wrong(Code.NOTHING_EXPECTED, message))


class Test(Closed):
    """Run by `autoreview test`."""

    name: Text = Field(description="The name of the test.", examples=["two missed checks"])
    given: Given | None = Field(None)
    expect: Expect
