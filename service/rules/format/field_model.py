"""The model of a source's fields in a rule file: their names, their types, and what they are compared by."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import InitErrorDetails

from service.rules.evidence import (
    CEL_WORDS,
    ENDINGS,
    EVIDENCE_TYPES,
    NAME,
    PARTICIPANT_ID,
    RECEIVED,
    Comparison,
    name_problem,
)
from service.rules.facts import FieldType
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.values import Closed, Flag, Reads, chosen, detail, text, wrong


def _name(name: str) -> str:
    if problem := name_problem(name):
        raise wrong(Code.BAD_VALUE, f"`{name}`: {problem}")
    return name


def mapped_name(name: str) -> str:
    """Read the name of a field. Every source may also map the participant's id."""
    return name if name == PARTICIPANT_ID else _name(name)


Name = Annotated[str, AfterValidator(_name)]
NAMES: dict[str, Any] = {
    "propertyNames": {
        "pattern": f"^{NAME.pattern}$",
        "not": {"enum": sorted([*CEL_WORDS, PARTICIPANT_ID, RECEIVED])},
    }
}


OTHER_NAMES = {
    **dict.fromkeys(("number", "numeric", "float", "decimal", "real"), FieldType.DOUBLE),
    **dict.fromkeys(("text", "str", "varchar", "char", "factor", "date", "datetime"), FieldType.STRING),
    **dict.fromkeys(("integer", "long", "count"), FieldType.INT),
    **dict.fromkeys(("boolean", "logical", "flag"), FieldType.BOOL),
}


def _field_type(value: object) -> FieldType:
    entered, kinds = text(value), [kind.value for kind in EVIDENCE_TYPES]
    if meant := OTHER_NAMES.get(entered.lower()):
        raise wrong(Code.BAD_VALUE, f"`{entered}` is none of {', '.join(kinds)}; did you mean `{meant}`?")
    return FieldType(chosen(entered, kinds))


FieldKind = Annotated[
    FieldType, Reads(lambda value, _: _field_type(value), {"enum": [kind.value for kind in EVIDENCE_TYPES]})
]


FITTING = {
    Comparison.FINGERPRINT: (FieldType.STRING, FieldType.INT, FieldType.DOUBLE),
    Comparison.SIMILAR: (FieldType.STRING,),
    Comparison.PAGE_TIME: (FieldType.INT, FieldType.DOUBLE),
}


class ComparedField(Closed):
    """A field whose values are compared with those of the study's other submissions."""

    type: FieldKind = Field(description="The type of the field.")
    fingerprint: Flag = Field(
        False, description="true: `<field>_seen_before` counts other submissions with the same value."
    )
    similar: Flag = Field(
        False,
        description="true: `<field>_similar_before` counts other submissions with nearly the same text.",
    )
    page_time: Flag = Field(
        False, description="true: the seconds spent on one page; all of them make up `stats.rsi`."
    )

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        uses = [use for use in Comparison if isinstance(on := given.get(use), Scalar) and on.value == "true"]
        kind = given.get("type")
        type_name = kind.value if isinstance(kind, Scalar) else ""
        if len(uses) > 1:
            yield detail(wrong(Code.BAD_VALUE, f"{' and '.join(uses)}: one of them", key=True), uses[1])
        for use, fitting in FITTING.items():
            if use in uses and type_name in list(FieldType) and type_name not in fitting:
                yield detail(
                    wrong(Code.BAD_VALUE, f"a field of type {type_name} can't be `{use}: true`", key=True),
                    use,
                )


DeclaredField = Annotated[
    Annotated[FieldKind, Tag("type")] | Annotated[ComparedField, Tag("field")],
    Discriminator(lambda given: "field" if isinstance(given, dict | ComparedField) else "type"),
]


def shared_names(declared: dict[str, Any]) -> Iterable[InitErrorDetails]:
    """Yield the fields that are called as a fact is that another field leads to."""
    for name, field in declared.items():
        for use, ending in ENDINGS.items():
            on = field.get(use) if isinstance(field, dict) else None
            if isinstance(on, Scalar) and on.value == "true" and f"{name}{ending}" in declared:
                message = f"is the name of the fact that `{name}` leads to by `{use}: true`"
                yield detail(wrong(Code.DUPLICATE_NAME, message, key=True), "fields", f"{name}{ending}")
