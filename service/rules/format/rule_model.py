"""How a rule file writes a rule: its conditions, its action, and the keys beside them."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Tag
from pydantic_core import InitErrorDetails

from service.rules.catalogue import FACTS
from service.rules.format.actions import ACTIONS, Actions
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.values import (
    TEXT_SCHEMA,
    Closed,
    Duration,
    Flag,
    Reads,
    Text,
    detail,
    listed,
    one_of,
    wrong,
)
from service.rules.lint.policy import ADVICE, Policy
from service.rules.rule import SKIPPABLE, Condition, Quantifier

ConditionText = Annotated[
    Condition,
    Reads(
        lambda value, info: info.context.condition(value),
        {
            **TEXT_SCHEMA,
            "type": ["string", "boolean"],
            "description": "A condition in CEL over the facts: "
            + ", ".join([*FACTS, "evidence.<source>.<field>"]),
            "examples": ["evidence.survey.attention_failed >= 2", 'submission.code_type == "NONE"'],
        },
    ),
]
ConditionList = Annotated[list[ConditionText], listed("conditions")]
MANY: dict[str, Any] = {"minItems": 1}


class Conditions(Closed):
    """Several conditions under one of all, any and none."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    all: ConditionList | None = Field(
        None, description="True if every one of these is.", json_schema_extra=MANY
    )
    any: ConditionList | None = Field(None, description="True if one of these is.", json_schema_extra=MANY)
    none: ConditionList | None = Field(
        None, description="True if not one of these is.", json_schema_extra=MANY
    )

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        said = [key for key in given if key in list(Quantifier)]
        if not given:
            yield detail(wrong(Code.EMPTY, "is empty: it needs all, any or none"))
        if len(said) > 1:
            message = f"one of all, any and none, not {' and '.join(said)} together"
            yield detail(wrong(Code.BAD_VALUE, message))


class Rule(Actions):
    """Asked in order; the first that is true decides."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [action]} for action in ACTIONS],
            "dependentRequired": {"allow": ["because"], "because": ["allow"]},
            "dependentSchemas": {
                "if_unknown": {"anyOf": [{"required": [outcome.value]} for outcome in sorted(SKIPPABLE)]}
            },
        }
    )

    name: Text = Field(
        description="Of its own in the file; decisions and reasons name it.",
        examples=["failed two attention checks"],
    )
    when: Annotated[
        Annotated[ConditionText, Tag("condition")] | Annotated[Conditions, Tag("conditions")],
        Discriminator(lambda given: "conditions" if isinstance(given, dict) else "condition"),
    ] = Field(description="What must be true for the rule to decide.")
    tag: Text | None = Field(
        None, description="Kept with the decision, for the analysis.", examples=["excluded"]
    )
    recheck_after: Duration | None = Field(None, description="When to look again.", examples=["7d"])
    if_unknown: Annotated[str, one_of(("skip",))] | None = Field(
        None,
        description="Of reject and request_return: if this can't be known, later rules may approve.",
    )
    observe: Flag = Field(
        False, description="true: never decides; what it would do is recorded beside the decision."
    )
    allow: Annotated[list[Annotated[str, one_of(list(Policy))]], listed("codes")] | None = Field(
        None,
        description="Policy findings accepted knowingly: "
        + "; ".join(f"{code.value}: {advice.why}" for code, advice in ADVICE.items()),
        json_schema_extra=MANY,
    )
    because: Text | None = Field(None, description="Why these are fine here.")

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        yield from super().together(given)
        for key, needed in (("allow", "because"), ("because", "allow")):
            if key in given and needed not in given:
                message = f"`{needed}` is missing: `allow` says which finding, `because` why it is fine here"
                yield detail(wrong(Code.MISSING_KEY, message, key=True), key)
        skip = given.get("if_unknown")
        if isinstance(skip, Scalar) and skip.value == "skip" and not SKIPPABLE & given.keys():
            message = "only a reject or request_return rule can be skipped when it can't be known"
            yield detail(wrong(Code.BAD_VALUE, message, key=True), "if_unknown")
