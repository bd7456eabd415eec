"""How a rule file declares a source of evidence."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import InitErrorDetails

from service.rules.evidence import (
    CEL_WORDS,
    DEFAULT_KEY,
    ENCODINGS,
    EVIDENCE_TYPES,
    NAME,
    ORIGINS,
    PARTICIPANT_ID,
    RECEIVED,
    Encoding,
    Origin,
    name_problem,
)
from service.rules.facts import FieldType
from service.rules.format.document import Scalar
from service.rules.format.findings import Code
from service.rules.format.values import (
    TEXT_SCHEMA,
    Closed,
    Duration,
    Reads,
    Text,
    chosen,
    detail,
    filled,
    listed,
    one_of,
    text,
    wrong,
)
from service.rules.lint.hints import did_you_mean
from service.rules.paths import BadPath, compiled

LATER_ORIGINS: tuple[Origin, ...] = ("http", "sql", "csv")
KEYS: Mapping[str, frozenset[str]] = {
    "push": frozenset({"key", "map", "signature", "cors"}),
    "http": frozenset({"map"}),
    "sql": frozenset(),
    "csv": frozenset({"key", "map"}),
}
"""The keys that only some origins have, by origin."""
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _name(name: str) -> str:
    if problem := name_problem(name):
        raise wrong(Code.BAD_VALUE, f"`{name}`: {problem}")
    return name


def _mapped_name(name: str) -> str:
    """A payload may say whom it is about, in every source."""
    return name if name == PARTICIPANT_ID else _name(name)


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


def _path(value: object) -> str:
    said = text(value)
    try:
        compiled(said)
    except BadPath as error:
        raise wrong(Code.BAD_VALUE, str(error), offset=error.offset) from None
    return said


Path = Annotated[str, Reads(lambda value, _: _path(value), TEXT_SCHEMA)]


def _header(value: object) -> str:
    said = text(value)
    if not HEADER.fullmatch(said):
        raise wrong(Code.BAD_VALUE, f"`{said}` is no name of an HTTP header: `Typeform-Signature`")
    return said


class Signature(Closed):
    """The platform signs its body with HMAC-SHA256; the secret is AUTOREVIEW_SOURCE_<NAME>."""

    header: Annotated[str, Reads(lambda value, _: _header(value), TEXT_SCHEMA)] = Field(
        description="The header that has it.", examples=["Typeform-Signature"]
    )
    prefix: Text = Field("", description="What stands before it in the header.", examples=["sha256="])
    encoding: Annotated[Encoding, one_of(ENCODINGS)] = Field("base64", description="How it is written.")


def _origin_of_page(value: object) -> str:
    said = text(value)
    try:
        parts = urlsplit(said)
        is_origin = parts.scheme in {"http", "https"} and said == f"{parts.scheme}://{parts.netloc}"
        is_origin = is_origin and bool(parts.hostname) and "@" not in said and said == said.lower()
        _ = parts.port  # raises ValueError where it is none
    except ValueError:
        is_origin = False
    if not is_origin:
        message = f"`{said}` is no origin: write scheme and host in lower case, without a path: `https://study.example.org`"
        raise wrong(Code.BAD_VALUE, message)
    return said


PageOrigin = Annotated[
    str,
    Reads(
        lambda value, _: _origin_of_page(value),
        {"type": "string", "pattern": "^https?://[^/A-Z]+$", "examples": ["https://study.example.org"]},
    ),
]


class Source(Closed):
    """What one source of evidence sends, and how long it may take."""

    origin: Annotated[Origin, Reads(lambda value, _: chosen(text(value), ORIGINS), {"const": "push"})] = (
        Field(
            alias="from",
            description="`push`: sent to /evidence/<source>, by PUT or POST."
            f" ({', '.join(LATER_ORIGINS)}: not supported yet.)",
        )
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
    key: Path = Field(
        DEFAULT_KEY,
        description="Where the body of a POST names the submission (JMESPath).",
        examples=["SESSION_ID", "form_response.hidden.session_id"],
    )
    map: dict[Annotated[str, AfterValidator(_mapped_name)], Path] = Field(
        {},
        description="Where a field stands in the body (JMESPath); without: by the field's own name.",
        examples=[{"recaptcha": "Q_RecaptchaScore", "attention_failed": "checks.failed"}],
    )
    signature: Signature | None = Field(None)
    cors: Annotated[list[PageOrigin], listed("origins")] | None = Field(
        None,
        description="The origins of the pages that send it from the participant's browser, with Prolific's "
        "signed study link.",
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )

    @classmethod
    def settled(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        """Yield that it is from where a later version looks: its other keys are that version's."""
        origin = given.get("from")
        if isinstance(origin, Scalar) and origin.value in LATER_ORIGINS:
            message = f"`from: {origin.value}` is not supported yet"
            yield detail(wrong(Code.NOT_SUPPORTED_YET, message), "from")

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        origin = given.get("from")
        own = KEYS.get(origin.value) if isinstance(origin, Scalar) else None
        if own is not None:
            for key in sorted(frozenset().union(*KEYS.values()) & given.keys() - own):
                users = " or ".join(f"`from: {name}`" for name, keys in KEYS.items() if key in keys)
                message = f"`{key}` is a key of {users}"
                yield detail(wrong(Code.UNKNOWN_KEY, message, key=True), key)
        declared, mapped = given.get("fields"), given.get("map")
        if isinstance(declared, dict) and isinstance(mapped, dict):
            for name in mapped.keys() - declared.keys() - {PARTICIPANT_ID}:
                message = f"`{name}` is no field of this source{did_you_mean(name, declared)}"
                yield detail(wrong(Code.UNKNOWN_NAME, message, key=True), "map", name)
