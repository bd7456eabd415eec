"""The model of a rule in a rule file: its conditions, its action, and the keys beside them."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Tag
from pydantic_core import InitErrorDetails, PydanticCustomError

from service.rules.catalogue import FACTS
from service.rules.format.actions import ACTIONS, Actions
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.quantities import Duration
from service.rules.format.values import (
    TEXT_SCHEMA,
    Closed,
    Flag,
    ParticipantText,
    Reads,
    Text,
    detail,
    listed,
    one_of,
    unknown_key,
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
ConditionList = Annotated[list[ConditionText], listed("conditions", example="- {}")]
MANY: dict[str, Any] = {"minItems": 1}
# Names in other rule languages. ``and`` resembles ``any``, so a guess by spelling would turn it into OR.
SYNONYMS = {
    Quantifier.ALL: frozenset({"and", "every", "each", "both", "all_of", "allof", "&&"}),
    Quantifier.ANY: frozenset({"or", "some", "either", "one", "any_of", "anyof", "one_of", "oneof", "||"}),
    Quantifier.NONE: frozenset({"not", "nor", "no", "neither", "none_of", "noneof", "!"}),
}
ELSEWHERE = {
    **dict.fromkeys(("if", "condition", "conditions", "where"), "write `when:`"),
    **dict.fromkeys(
        ("then", "action", "actions", "outcome", "do", "decide"),
        "the action is a key itself: write `approve:`, `hold: text` or another action",
    ),
    **dict.fromkeys(("category", "message"), "it belongs below `reject:`, indented further"),
    "reasons": "it belongs below `request_return:`, indented further",
    **dict.fromkeys(
        ("code_type", "code", "percentage_of_reward", "message_to_participant"),
        "it belongs below `complete:`, indented further",
    ),
    "otherwise": "it stands beside `rules:`, without a dash and not indented",
    **dict.fromkeys(("description", "comment", "note"), "write a comment: `# …`"),
    **dict.fromkeys(("and", "or", "not"), "conditions stand below `when:`, under `all`, `any` or `none`"),
    **dict.fromkeys(("all", "any", "none"), "it belongs below `when:`, indented further"),
}


class Conditions(Closed):
    """Several conditions below one of all, any and none."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    all: ConditionList | None = Field(
        None, description="True if all of these are true.", json_schema_extra=MANY
    )
    any: ConditionList | None = Field(
        None, description="True if at least one of these is true.", json_schema_extra=MANY
    )
    none: ConditionList | None = Field(
        None, description="True if none of these is true.", json_schema_extra=MANY
    )

    @classmethod
    def unknown(cls, key: str, context: Any) -> PydanticCustomError:
        meant = next((name for name, others in SYNONYMS.items() if key.lower() in others), None)
        if meant is None:
            return super().unknown(key, context)
        return unknown_key(f"there is no key `{key}` here: write `{meant}:` and a list of conditions")

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        quantifiers = [key for key in given if key in list(Quantifier)]
        if not given:
            yield detail(wrong(Code.EMPTY, "is empty: it needs all, any or none"))
        if len(quantifiers) > 1:
            message = f"one of all, any and none, not {' and '.join(quantifiers)} together"
            yield detail(wrong(Code.BAD_VALUE, message))


class Also(Closed):
    """Done once beside the outcome, after it is applied."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    add_to_group: Text | None = Field(None, description="The id of a participant group of Prolific.")
    remove_from_group: Text | None = Field(None, description="The id of a participant group of Prolific.")
    message: ParticipantText | None = Field(
        None,
        description="Sent to the participant as a message; {fact} fills in a fact.",
        examples=["Thank you. Part two opens next week."],
    )

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        if not given:
            yield detail(wrong(Code.EMPTY, f"names nothing to do: {', '.join(cls.keys())}"))
        for key in ("add_to_group", "remove_from_group"):
            group = given.get(key)
            if isinstance(group, Scalar) and group.value.split() != [group.value]:
                yield detail(wrong(Code.BAD_VALUE, "a group's id has no spaces"), key)
        groups = [given.get(key) for key in ("add_to_group", "remove_from_group")]
        first, second = [group.value if isinstance(group, Scalar) else None for group in groups]
        if first is not None and first == second:
            yield detail(wrong(Code.BAD_VALUE, "adds to the group that it removes from"), "remove_from_group")


class Rule(Actions):
    """Rules are evaluated in order. The first that is true decides."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [action]} for action in ACTIONS],
            "not": {"required": ["also", "hold"]},
            "dependentRequired": {"allow": ["because"], "because": ["allow"]},
            "dependentSchemas": {
                "if_unknown": {"anyOf": [{"required": [outcome.value]} for outcome in sorted(SKIPPABLE)]}
            },
        }
    )

    name: Text = Field(
        description="The name, unique in the file. Decisions and reasons show it.",
        examples=["failed two attention checks"],
    )
    when: Annotated[
        Annotated[ConditionText, Tag("condition")] | Annotated[Conditions, Tag("conditions")],
        Discriminator(lambda given: "conditions" if isinstance(given, dict) else "condition"),
    ] = Field(description="The rule decides if this is true.")
    tag: Text | None = Field(
        None, description="A label that is stored with the decision, for the analysis.", examples=["excluded"]
    )
    also: Also | None = Field(None)
    recheck_after: Duration | None = Field(
        None, description="When to review the submission again.", examples=["7d"]
    )
    if_unknown: Annotated[str, one_of(("skip",))] | None = Field(
        None,
        description="For reject and request_return: if this rule is unknown, later rules may approve.",
    )
    observe: Flag = Field(
        False, description="true: the rule never decides. Its outcome is recorded with the decision."
    )
    allow: Annotated[list[Annotated[str, one_of(list(Policy))]], listed("codes")] | None = Field(
        None,
        description="Policy findings to accept in this rule: "
        + "; ".join(f"{code.value}: {advice.why}" for code, advice in ADVICE.items()),
        json_schema_extra=MANY,
    )
    because: Text | None = Field(None, description="Why the allowed findings do not apply here.")

    @classmethod
    def unknown(cls, key: str, context: Any) -> PydanticCustomError:
        if where := ELSEWHERE.get(key.lower()):
            return unknown_key(f"there is no key `{key}` here: {where}")
        return super().unknown(key, context)

    @classmethod
    def refusal(cls, given: object) -> str:
        return f"{super().refusal(given)}: a rule has `name:`, `when:` and an action"

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        yield from super().together(given)
        for key, needed in (("allow", "because"), ("because", "allow")):
            if key in given and needed not in given:
                message = (
                    f"`{needed}` is missing: `allow` says which finding, `because` why it does not apply here"
                )
                yield detail(wrong(Code.MISSING_KEY, message, key=True), key)
        if "also" in given and "hold" in given:
            message = "a hold does nothing yet, so nothing can be done beside it: put `also` into the rules that decide"
            yield detail(wrong(Code.BAD_VALUE, message, key=True), "also")
        skip = given.get("if_unknown")
        if isinstance(skip, Scalar) and skip.value == "skip" and not SKIPPABLE & given.keys():
            message = "only a reject or request_return rule can be skipped when it can't be known"
            yield detail(wrong(Code.BAD_VALUE, message, key=True), "if_unknown")
