"""The model of an evidence source in a rule file."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import InitErrorDetails

from service.domain.evidence import ORIGIN
from service.rules.asking import file_problem, query_problem, url_problem
from service.rules.evidence import DEFAULT_KEY, ENCODINGS, ORIGINS, PARTICIPANT_ID, Encoding, Origin
from service.rules.format.document import Scalar
from service.rules.format.field_model import NAMES, DeclaredField, Name, mapped_name, shared_names
from service.rules.format.findings import Code
from service.rules.format.quantities import Duration
from service.rules.format.values import (
    TEXT_SCHEMA,
    Closed,
    Reads,
    Text,
    detail,
    filled,
    keyed,
    listed,
    one_of,
    text,
    wrong,
)
from service.rules.lint.names import did_you_mean
from service.rules.paths import BadPath, compiled

# The keys that only some origins have, by origin.
KEYS: Mapping[str, frozenset[str]] = {
    "push": frozenset({"key", "map", "signature", "cors"}),
    "http": frozenset({"url", "map", "retry_every"}),
    "sql": frozenset({"query", "retry_every"}),
    "csv": frozenset({"file", "key", "map", "retry_every"}),
}
NEEDED: Mapping[str, str] = {"http": "url", "sql": "query", "csv": "file"}
OWN_KEYS = sorted(frozenset[str]().union(*KEYS.values()))
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _header(value: object) -> str:
    entered = text(value)
    if not HEADER.fullmatch(entered):
        raise wrong(Code.BAD_VALUE, f"`{entered}` is no name of an HTTP header: `Typeform-Signature`")
    return entered


class Signature(Closed):
    """The platform signs its body with HMAC-SHA256; the secret is AUTOREVIEW_SOURCE_<NAME>."""

    header: Annotated[str, Reads(lambda value, _: _header(value), TEXT_SCHEMA)] = Field(
        description="The header that has it.", examples=["Typeform-Signature"]
    )
    prefix: Text = Field("", description="What stands before it in the header.", examples=["sha256="])
    encoding: Annotated[Encoding, one_of(ENCODINGS)] = Field("base64", description="How it is written.")


def _origin_of_page(value: object) -> str:
    entered = text(value)
    try:
        parts = urlsplit(entered)
        is_origin = parts.scheme in {"http", "https"} and entered == f"{parts.scheme}://{parts.netloc}"
        is_origin = is_origin and bool(parts.hostname) and "@" not in entered and entered == entered.lower()
        _ = parts.port  # raises ValueError where it is none
    except ValueError:
        is_origin = False
    if not is_origin:
        message = f"`{entered}` is no origin: write scheme and host in lower case, without a path: `https://study.example.org`"
        raise wrong(Code.BAD_VALUE, message)
    return entered


PageOrigin = Annotated[
    str,
    Reads(
        lambda value, _: _origin_of_page(value),
        {"type": "string", "pattern": "^https?://[^/A-Z]+$", "examples": ["https://study.example.org"]},
    ),
]


def _checked(read: Callable[[str], str | None], **schema: Any) -> Reads:
    """Read a text; ``read`` returns what is wrong with it."""

    def value(given: object) -> str:
        entered = text(given)
        if problem := read(entered):
            raise wrong(Code.BAD_VALUE, problem)
        return entered

    return Reads(lambda given, _: value(given), TEXT_SCHEMA | schema)


def _own_schema(origin: str) -> dict[str, Any]:
    """Return the JSON Schema of the keys of an origin: its own, those it needs, and no other's."""
    foreign = dict.fromkeys([key for key in OWN_KEYS if key not in KEYS[origin]], False)
    needed = {"required": [NEEDED[origin]]} if origin in NEEDED else {}
    return {"properties": {"from": {"const": origin}, **foreign}, **needed}


class Source(Closed):
    """One source of evidence: its fields, and how long to wait for it."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_own_schema(origin) for origin in ORIGINS]})

    origin: Annotated[Origin, one_of(ORIGINS)] = Field(
        alias="from",
        description="`push`: sent to /evidence/<source>, by PUT or POST. `http`: fetched from a server. "
        "`sql`: queried from a database. `csv`: read from a file.",
    )
    fields_: Annotated[
        dict[Name, DeclaredField], filled(Code.EMPTY, "names no field"), keyed("attention_failed: int")
    ] = Field(
        alias="fields",
        description="The fields that the source sends, each with its type.",
        examples=[{"attention_failed": "int", "gibberish": "double", "consented": "bool"}],
        json_schema_extra={"minProperties": 1, **NAMES},
    )
    wait: Duration | None = Field(
        None, description="How long after completion an answer may still come.", examples=["30m", "1h"]
    )
    url: Annotated[str, _checked(url_problem)] | None = Field(
        None,
        description="Of `http`: the address, with the submission's ids filled in.",
        examples=["https://survey.example.org/api/results/{submission.id}"],
    )
    query: Annotated[str, _checked(query_problem)] | None = Field(
        None,
        description="Of `sql`: a query that finds one row, each column a field. The database's URL is "
        "AUTOREVIEW_SOURCE_<NAME>.",
        examples=["SELECT failed AS attention_failed FROM results WHERE session_id = :submission_id"],
    )
    file: Annotated[str, _checked(file_problem)] | None = Field(
        None,
        description="Of `csv`: the file, relative to the rule file; read again when it changes.",
        examples=["exports/survey.csv"],
    )
    retry_every: Duration | None = Field(
        None,
        description="Of `http`, `sql` and `csv`: how often to ask while `wait` runs; default 1m.",
        examples=["1m"],
    )
    key: Text = Field(
        DEFAULT_KEY,
        description="Where the body of a POST names the submission (JMESPath); of `csv` the column that does.",
        examples=["SESSION_ID", "form_response.hidden.session_id"],
    )
    map: dict[Annotated[str, AfterValidator(mapped_name)], Text] = Field(
        {},
        description="Where a field stands in the body (JMESPath), of `csv` its column; without: by the "
        "field's own name.",
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
    def refusal(cls, given: object) -> str:
        return f"{super().refusal(given)}: the name of a source comes first, `from:` and `fields:` below it"

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        origin = given.get("from")
        own = KEYS.get(origin.value) if isinstance(origin, Scalar) else None
        if isinstance(origin, Scalar) and own is not None:
            for key in [key for key in OWN_KEYS if key in given and key not in own]:
                users = " or ".join(f"`from: {name}`" for name, keys in KEYS.items() if key in keys)
                message = f"`{key}` is a key of {users}"
                yield detail(wrong(Code.UNKNOWN_KEY, message, key=True), key)
            needed = NEEDED.get(origin.value)
            if needed and needed not in given:
                message = f"`{needed}` is missing: `from: {origin.value}` needs it"
                yield detail(wrong(Code.MISSING_KEY, message))
            if origin.value != "csv":
                yield from _bad_paths(given)
        declared, mapped = given.get("fields"), given.get("map")
        if "cors" in given and isinstance(declared, dict) and ORIGIN in declared:
            message = f"`{ORIGIN}` says that a browser sent the evidence: give the field another name"
            yield detail(wrong(Code.BAD_VALUE, message, key=True), "fields", ORIGIN)
        yield from shared_names(declared if isinstance(declared, dict) else {})
        if isinstance(declared, dict) and isinstance(mapped, dict):
            for name in mapped.keys() - declared.keys() - {PARTICIPANT_ID}:
                message = f"`{name}` is no field of this source{did_you_mean(name, declared)}"
                yield detail(wrong(Code.UNKNOWN_NAME, message, key=True), "map", name)


def _bad_paths(given: dict[str, Any]) -> Iterable[InitErrorDetails]:
    """Yield the errors of JMESPath expressions. For a CSV file they are names of columns."""
    mapped = given.get("map")
    entered: list[tuple[tuple[str, ...], object]] = [(("key",), given.get("key"))]
    entered += [(("map", name), value) for name, value in mapped.items()] if isinstance(mapped, dict) else []
    for place, value in entered:
        if isinstance(value, Scalar) and value.value.strip():
            try:
                compiled(value.value)
            except BadPath as error:
                yield detail(wrong(Code.BAD_VALUE, str(error), offset=error.offset), *place)
