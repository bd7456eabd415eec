"""The rule format: what a rule file holds, one model for reading it and for its JSON Schema."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WrapValidator,
    create_model,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from service.domain.decision import REJECTION_CATEGORIES, Mode, Outcome
from service.rules.catalogue import CATALOGUE
from service.rules.evidence import CEL_WORDS, EVIDENCE_TYPES, NAME, PARTICIPANT_ID, RECEIVED, name_problem
from service.rules.facts import FACTS, INT_BOUND, FieldType, typed
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
    chosen,
    detail,
    flag,
    is_null,
    listed,
    number,
    one_of,
    text,
    whole,
    written,
    wrong,
)
from service.rules.limits import Limits
from service.rules.lint.hints import did_you_mean, unknown_fact
from service.rules.lint.policy import ADVICE, Policy
from service.rules.rule import SKIPPABLE, Condition, Quantifier

VERSION = "1"
LEAST_HOLD = timedelta(minutes=1)
PUSH, LATER_ORIGINS = "push", ("http", "sql", "csv")
GUARDS = ("undecidable", "waiting", "message", "no_such_code", "policy")
"""What a test sees of guards: the others look at more of the world than facts."""
WOULD, CODES = "would", "codes"
OUTCOMES = tuple(outcome.value for outcome in Outcome)
NULLABLE_TEXT = {"type": ["string", "number", "null"]}


def _name(name: str) -> str:
    if problem := name_problem(name):
        raise wrong(Code.BAD_VALUE, f"`{name}`: {problem}")
    return name


def _filled(code: Code, message: str) -> BeforeValidator:
    """Refuse an empty mapping."""

    def check(given: object) -> object:
        if given == {}:
            raise wrong(code, message)
        return given

    return BeforeValidator(check)


Name = Annotated[str, AfterValidator(_name)]
NAMES: dict[str, Any] = {
    "propertyNames": {
        "pattern": f"^{NAME.pattern}$",
        "not": {"enum": sorted([*CEL_WORDS, PARTICIPANT_ID, RECEIVED])},
    }
}


def _field_type(value: object) -> FieldType:
    return FieldType(chosen(text(value), [kind.value for kind in EVIDENCE_TYPES]))


FieldKind = Annotated[
    FieldType, Reads(lambda value, _: _field_type(value), {"enum": [kind.value for kind in EVIDENCE_TYPES]})
]


class Source(Closed):
    """What one source of evidence sends, and how long it may take."""

    origin: Annotated[
        str, Reads(lambda value, _: chosen(text(value), (PUSH, *LATER_ORIGINS)), {"const": PUSH})
    ] = Field(
        alias="from",
        description=f"Sent to PUT /evidence/<source>/<submission>. ({', '.join(LATER_ORIGINS)}: not supported yet.)",
    )
    fields_: Annotated[dict[Name, FieldKind], _filled(Code.EMPTY, "names no field")] = Field(
        alias="fields",
        description="What the source says of a submission, and of which type each is.",
        examples=[{"attention_failed": "int", "gibberish": "double", "consented": "bool"}],
        json_schema_extra={"minProperties": 1, **NAMES},
    )
    wait: Duration | None = Field(
        None, description="How long after completion it may still come.", examples=["30m", "1h"]
    )

    @classmethod
    def settled(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        """Yield that it is from where a later version looks: its other keys are that version's."""
        origin = given.get("from")
        if isinstance(origin, Scalar) and origin.value in LATER_ORIGINS:
            message = f"`from: {origin.value}` is not supported yet"
            yield detail(wrong(Code.NOT_SUPPORTED_YET, message), "from")


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


def _fact(kind: FieldType | None, value: object) -> Any:
    """None if it is given as missing: ``null``."""
    if kind is None or is_null(value):
        return None
    match kind:
        case FieldType.INT:
            return whole(value, 1 - INT_BOUND)
        case FieldType.DOUBLE:
            return number(value)
        case FieldType.BOOL:
            return flag(value)
        case FieldType.STRING:
            return written(value)
        case FieldType.TIMESTAMP:
            return _timestamp(text(value))


def _timestamp(said: str) -> str:
    if typed(FieldType.TIMESTAMP, said) is None:
        raise wrong(Code.BAD_VALUE, f"`{said}` is no time; write it like 2026-01-31T09:00:00Z")
    return said


FACT_SCHEMAS = {
    FieldType.INT: {"type": ["integer", "null"]},
    FieldType.DOUBLE: {"type": ["number", "null"]},
    FieldType.BOOL: {"type": ["boolean", "null"]},
    FieldType.STRING: NULLABLE_TEXT,
    FieldType.TIMESTAMP: {"type": ["string", "null"], "examples": ["2026-01-01T10:00:00Z"]},
}


class Group(Closed):
    """Facts below one name."""

    @classmethod
    def unknown(cls, key: str, context: Any) -> PydanticCustomError:
        return wrong(Code.UNKNOWN_NAME, unknown_fact(f"{cls.__name__}.{key}", context.types), key=True)


def _field(kind: FieldType | None, said: str | None = None) -> Any:
    """Return the field of a model for a fact."""
    reads = Reads(lambda value, _: _fact(kind, value), FACT_SCHEMAS[kind] if kind else {})
    return Annotated[Any, reads], Field(None, description=said)


def _described(fact: str) -> Any:
    about = CATALOGUE[fact]
    said = f"{about.meaning} ({about.unit})" if about.unit else about.meaning
    return _field(FACTS[fact], said)


def _group(name: str) -> Any:
    fields = {fact.partition(".")[2]: _described(fact) for fact in FACTS if fact.startswith(f"{name}.")}
    group = create_model(name, __base__=Group, __doc__=f"Facts of the {name}.", **fields)
    return group, Field(default=None)


class SourcesGiven(Closed):
    """What each source said."""

    @classmethod
    def unknown(cls, key: str, context: Any) -> PydanticCustomError:
        message = f"no source {key} is declared under evidence{did_you_mean(key, context.sources)}"
        return wrong(Code.UNKNOWN_NAME, message, key=True)


def evidence_model(types: Mapping[str, FieldType | None], sources: Iterable[str]) -> type[SourcesGiven]:
    """Return the model of what a test may give of the sources that a file declares."""
    fields: Any = {}
    for source in sources:
        group = f"evidence.{source}"
        known = {
            fact.rpartition(".")[2]: kind for fact, kind in types.items() if fact.startswith(f"{group}.")
        }
        of_source: Any = {name: _field(kind) for name, kind in known.items()}
        model = create_model(group, __base__=Group, **of_source)
        or_null = WrapValidator(lambda given, handler: None if is_null(given) else handler(given))
        fields[source] = Annotated[model | None, or_null], None
    return create_model("SourcesGiven", __base__=SourcesGiven, **fields)


_GROUPS = dict.fromkeys(fact.partition(".")[0] for fact in FACTS if "." in fact)


def _said_of(value: object, info: ValidationInfo) -> Any:
    context: Any = info.context
    return context.evidence(value)


SAID = Reads(_said_of, {"type": "object", "additionalProperties": {"type": ["object", "null"]}})
_GIVEN: Any = {
    **{name: _group(name) for name in _GROUPS},
    "now": _described("now"),
    "evidence": (
        Annotated[Any, SAID],
        Field(None, description="What each source said; `received: null`: it may still come."),
    ),
    CODES: (
        Annotated[list[Text], listed("code types", least=0)],
        Field(
            None,
            description="The researcher's completion codes the study has; absent: every one that is needed.",
        ),
    ),
}
Given: Any = create_model(
    "Given", __base__=Closed, __doc__="The facts that matter; the rest has defaults.", **_GIVEN
)


def _rule_name(value: object, context: Any) -> str | None:
    """The rule that decides; None: ``otherwise``."""
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
    """What must come of it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    outcome: Annotated[str, one_of(OUTCOMES)] | None = Field(None, description="What is decided.")
    rule: Annotated[str, Reads(lambda value, info: _rule_name(value, info.context), NULLABLE_TEXT)] | None = (
        Field(None, description="Which rule decides; null: otherwise.")
    )
    reason: Text | None = Field(None, description="Stands in the decision's sentence.")
    message: Text | None = Field(None, description="Stands in what people are told.")
    category: Annotated[str, one_of(REJECTION_CATEGORIES, or_null=True)] | None = Field(
        None, description="Of the rejection."
    )
    tag: Annotated[str, Reads(lambda value, _: _or_null(value), NULLABLE_TEXT)] | None = Field(
        None, description="Kept with the decision."
    )
    guard: Annotated[str, one_of(GUARDS, or_null=True)] | None = Field(
        None, description="What holds the decision back."
    )
    undecidable: Flag | None = Field(None, description="Whether something that matters can't be known.")
    would: (
        Annotated[
            dict[
                Annotated[str, AfterValidator(_observed)],
                Annotated[str | None, one_of(OUTCOMES, or_null=True)],
            ],
            _filled(Code.NOTHING_EXPECTED, "names no rule"),
        ]
        | None
    ) = Field(
        None,
        description="What rules that are only observed would do, by name; null: nothing.",
        json_schema_extra={"minProperties": 1},
    )

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        if not given:
            message = f"expects nothing; name some of {', '.join(cls.keys())}"
            yield detail(wrong(Code.NOTHING_EXPECTED, message))


class Test(Closed):
    """Run by `autoreview test`."""

    name: Text = Field(description="What the test shows.", examples=["two missed checks"])
    given: Given | None = Field(None)
    expect: Expect


def _version(value: object) -> int:
    if isinstance(value, Scalar) and value.plain and value.value == VERSION:
        return int(VERSION)
    raise wrong(Code.BAD_VALUE, f"must be {VERSION}, the version of the format that this autoreview reads")


STUDIES = {
    "oneOf": [
        {"const": "all"},
        {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": ["string", "number"], "pattern": "^[^ ]+$", "not": {"const": "all"}},
            "examples": [["60aca280709ee40ec37d4885"]],
        },
    ]
}


def _a_minute(duration: timedelta) -> timedelta:
    if duration < LEAST_HOLD:
        raise wrong(Code.BAD_VALUE, "must be a minute or more: `72h`")
    return duration


class File(Closed):
    """A rule file: which studies it is for, what the researcher knows, and the rules in order."""

    model_config = ConfigDict(title="Rules of autoreview")

    version: Annotated[int, Reads(lambda value, _: _version(value), {"const": int(VERSION)})] = Field(
        description="The version of the format."
    )
    name: Text = Field(
        description="What the file is about; shown with its decisions.", examples=["Stroop, wave 2"]
    )
    studies: Annotated[Any, Reads(lambda value, info: info.context.studies(value), STUDIES)] = Field(
        description="The ids of the studies this file is for; `all`: every study that no other file names."
    )
    mode: Annotated[Mode, one_of(list(Mode))] | None = Field(
        None,
        description="How much of what is decided is applied: this or the service's, whichever is less.",
    )
    evidence: dict[Name, Source] = Field(
        {},
        description="What the researcher knows beside what Prolific knows, by source.",
        json_schema_extra=NAMES,
    )
    limits: Limits = Field(default_factory=Limits)
    hold_at_most: Annotated[Duration, AfterValidator(_a_minute)] | None = Field(
        None,
        description="How long a submission may be held; absent: until day 21.",
        examples=["72h", "7d"],
    )
    rules: Annotated[list[Rule], listed("rules", least=0)] = Field(
        [], description="Asked in order; the first that is true decides."
    )
    otherwise: Annotated[Outcome, one_of([Outcome.APPROVE, Outcome.HOLD])] = Field(
        Outcome.HOLD, description="What is decided when no rule matches."
    )
    tests: Annotated[list[Test], listed("tests", least=0)] = Field(
        [], description="Run by `autoreview test`."
    )
