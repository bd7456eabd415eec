"""Evidence sources as a rule file declares them, and the payloads that they may send."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from service.rules.facts import FieldType, Plain, typed

NAME = re.compile("[a-z_][a-z0-9_]*")
RECEIVED = "received"
# The participant of a payload. Every source may send it. A review ignores payloads of other participants.
PARTICIPANT_ID = "participant_id"
CEL_WORDS = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"),
        *("let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"),
    },
)
EVIDENCE_TYPES = (FieldType.INT, FieldType.DOUBLE, FieldType.BOOL, FieldType.STRING)
WANTED = {
    FieldType.INT: "a whole number below 2^63",
    FieldType.DOUBLE: "a finite number",
    FieldType.BOOL: "true or false",
    FieldType.STRING: "a text without NUL or lone surrogates",
}


@dataclass(frozen=True, slots=True)
class Validated:
    """The accepted fields of a payload, and one message per rejected field."""

    values: dict[str, Plain]
    problems: tuple[tuple[str, str], ...]


Origin = Literal["push", "http", "sql", "csv"]
ORIGINS: tuple[Origin, ...] = ("push", "http", "sql", "csv")
Encoding = Literal["base64", "hex"]
ENCODINGS: tuple[Encoding, ...] = ("base64", "hex")
DEFAULT_KEY = "submission_id"
RETRY_EVERY = timedelta(minutes=1)


class Comparison(StrEnum):
    """The comparison of a field's values with those of the study's other submissions."""

    FINGERPRINT = "fingerprint"
    SIMILAR = "similar"
    PAGE_TIME = "page_time"


# The ending of the fact that counts other submissions. Page times lead to ``stats.rsi``.
ENDINGS = {Comparison.FINGERPRINT: "_seen_before", Comparison.SIMILAR: "_similar_before"}


@dataclass(frozen=True, slots=True)
class Signature:
    """The header in which a platform sends the HMAC-SHA256 of its body, and its encoding."""

    header: str
    prefix: str = ""
    encoding: Encoding = "base64"


@dataclass(frozen=True, slots=True)
class Source:
    """A source of evidence. ``wait`` is how long after completion its evidence is awaited.

    ``key`` is where a document names the submission, ``map`` where a field stands in it (JMESPath; else by the
    field's own name). ``cors`` are the origins whose pages may send it from the participant's browser. A source
    that is asked has its ``url``, ``query`` or ``file``, and is asked ``retry_every`` so long. ``compared`` are the
    fields whose values are compared with those of other submissions.
    """

    name: str
    fields: Mapping[str, FieldType]
    wait: timedelta | None = None
    origin: Origin = "push"
    key: str = DEFAULT_KEY
    map: Mapping[str, str] = field(default_factory=dict)
    signature: Signature | None = None
    cors: tuple[str, ...] = ()
    url: str | None = None
    query: str | None = None
    file: str | None = None
    retry_every: timedelta = RETRY_EVERY
    compared: Mapping[str, Comparison] = field(default_factory=dict)

    @property
    def is_asked(self) -> bool:
        """Return True if this service asks the source, False if the source calls the service."""
        return self.origin != "push"

    @property
    def declaration(self) -> str:
        """Return a short hash of everything that the answer of the source depends on."""
        asked = (self.origin, self.url, self.query, self.file, self.key, sorted(self.map.items()))
        declared = repr((self.name, sorted(self.fields.items()), asked))
        return hashlib.sha256(declared.encode()).hexdigest()[:16]

    def facts(self) -> dict[str, FieldType]:
        named = {f"evidence.{self.name}.{field}": kind for field, kind in self.fields.items()}
        return named | {self.received: FieldType.BOOL}

    @property
    def received(self) -> str:
        """Return the fact that reports whether it has answered. The fact is missing while an answer may still come."""
        return f"evidence.{self.name}.{RECEIVED}"

    def validate(self, payload: Mapping[str, Any]) -> Validated:
        values: dict[str, Plain] = {}
        problems: list[tuple[str, str]] = []
        for name, value in payload.items():
            if name == PARTICIPANT_ID:
                if value is not None and typed(FieldType.STRING, value) is None:
                    problems.append((name, f"{name}: must be {WANTED[FieldType.STRING]}"))
                continue
            kind = self.fields.get(name)
            if kind is None:
                problems.append((name, f"{name}: source {self.name} declares no such field"))
            elif value is not None:
                accepted = typed(kind, value)
                if accepted is None:
                    problems.append((name, f"{name}: must be {WANTED[kind]} ({kind})"))
                else:
                    values[name] = accepted
        return Validated(values, tuple(problems))


def name_problem(name: str) -> str | None:
    """Return why a source or a field can't have this name, None if it can."""
    if not NAME.fullmatch(name):
        return "names are of a-z, 0-9 and _, and don't start with a digit"
    if name in CEL_WORDS:
        return "is a word of CEL"
    if name == PARTICIPANT_ID:
        return "says whom a payload is about, in every source, and is no field"
    return "is the name of the fact that says a source has answered" if name == RECEIVED else None
