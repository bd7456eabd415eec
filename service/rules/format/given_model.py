"""The model of a test's ``given``: any fact, and the evidence of each source."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, WrapValidator, create_model
from pydantic_core import PydanticCustomError

from service.rules.catalogue import CATALOGUE, FACTS
from service.rules.facts import INT_BOUND, FieldType, typed
from service.rules.format.findings import Code
from service.rules.format.quantities import number, whole
from service.rules.format.values import (
    NULLABLE_TEXT,
    Closed,
    Reads,
    Text,
    flag,
    is_null,
    listed,
    text,
    unknown_key,
    written,
    wrong,
)
from service.rules.lint.names import did_you_mean, unknown_fact

CODES = "codes"


def _fact(kind: FieldType | None, value: object) -> Any:
    """Read the value of a fact. ``null`` gives it as missing."""
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


def _timestamp(entered: str) -> str:
    if typed(FieldType.TIMESTAMP, entered) is None:
        raise wrong(Code.BAD_VALUE, f"`{entered}` is no time; write it like 2026-01-31T09:00:00Z")
    return entered


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
        if key.isdecimal():
            return wrong(Code.UNKNOWN_NAME, "a decimal number has a point: write `2.5`, not `2,5`", key=True)
        return wrong(Code.UNKNOWN_NAME, unknown_fact(f"{cls.__name__}.{key}", context.types), key=True)


def _field(kind: FieldType | None, entered: str | None = None) -> Any:
    """Return the field of a model for a fact."""
    reads = Reads(lambda value, _: _fact(kind, value), FACT_SCHEMAS[kind] if kind else {})
    return Annotated[Any, reads], Field(None, description=entered)


def _described(fact: str) -> Any:
    about = CATALOGUE[fact]
    entered = f"{about.meaning} ({about.unit})" if about.unit else about.meaning
    return _field(FACTS[fact], entered)


def _group(name: str) -> Any:
    fields = {fact.partition(".")[2]: _described(fact) for fact in FACTS if fact.startswith(f"{name}.")}
    group = create_model(name, __base__=Group, __doc__=f"Facts of the {name}.", **fields)
    return group, Field(default=None)


class SourcesGiven(Closed):
    """The evidence of each source."""

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


def _evidence_given(value: object, info: ValidationInfo) -> Any:
    context: Any = info.context
    return context.evidence(value)


EVIDENCE_GIVEN = Reads(
    _evidence_given, {"type": "object", "additionalProperties": {"type": ["object", "null"]}}
)
_GIVEN: Any = {
    **{name: _group(name) for name in _GROUPS},
    "now": _described("now"),
    "evidence": (
        Annotated[Any, EVIDENCE_GIVEN],
        Field(None, description="The evidence of each source; `received: null`: it may still come."),
    ),
    CODES: (
        Annotated[list[Text], listed("code types", least=0)],
        Field(
            None,
            description="The researcher's completion codes of the study. Absent: every code that a rule needs.",
        ),
    ),
}


class AnyGiven(Closed):
    @classmethod
    def unknown(cls, key: str, context: Any) -> PydanticCustomError:
        group, _, field = key.rpartition(".")
        if key in context.sources:
            return unknown_key(f"there is no key `{key}` here: write `evidence: {{{key}: …}}`")
        if fact := next((fact for fact in context.types if fact == key or fact.endswith(f".{key}")), None):
            group, _, field = fact.rpartition(".")
            nested = f"{group.replace('.', ': {')}: {{{field}: …}}" + "}" * group.count(".")
            return unknown_key(f"there is no key `{key}` here: write `{nested}`")
        return super().unknown(key, context)


Given: Any = create_model(
    "Given", __base__=AnyGiven, __doc__="The facts of the test. All others have defaults.", **_GIVEN
)
