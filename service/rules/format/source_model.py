"""How a rule file declares a source of evidence."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import InitErrorDetails

from service.rules.evidence import CEL_WORDS, EVIDENCE_TYPES, NAME, PARTICIPANT_ID, RECEIVED, name_problem
from service.rules.facts import FieldType
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.values import Closed, Duration, Reads, chosen, detail, filled, text, wrong

PUSH, LATER_ORIGINS = "push", ("http", "sql", "csv")


def _name(name: str) -> str:
    if problem := name_problem(name):
        raise wrong(Code.BAD_VALUE, f"`{name}`: {problem}")
    return name


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
    fields_: Annotated[dict[Name, FieldKind], filled(Code.EMPTY, "names no field")] = Field(
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
