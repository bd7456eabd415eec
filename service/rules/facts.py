"""The types of facts, and how facts are read from nested JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from service.domain.decision import Facts
from service.domain.evidence import ORIGIN, EvidenceOrigin

# A fact's value as JSON has it; times are ISO 8601 texts.
Plain = int | float | bool | str


class FieldType(StrEnum):
    INT = "int"
    DOUBLE = "double"
    BOOL = "bool"
    STRING = "string"
    TIMESTAMP = "timestamp"
    """A time. Only Prolific's facts have times, evidence has none."""


# Beside the facts: when each group of them was fetched, received or counted, ``{"evidence.survey": …}``.
SEEN_AT = "seen_at"

# Beside the facts: why a source did not answer, by its name. No condition can read it. Reasons quote it.
PROBLEMS = "problems"
INT_BOUND = 2**63
# Characters of a text that conditions and messages see. A longer one is missing: the time of a pattern grows with it.
LONGEST_TEXT = 10_000


def typed(kind: FieldType, value: Any) -> Plain | None:
    """Return the value if it is strictly of the type (an int is also a double), else None: missing."""
    match kind:
        case FieldType.INT:
            return int(value) if _is_int(value) and abs(value) < INT_BOUND else None
        case FieldType.DOUBLE:
            return _finite(value)
        case FieldType.BOOL:
            return value if isinstance(value, bool) else None
        case FieldType.STRING:
            return str(value) if isinstance(value, str) and _is_storable(value) else None
        case FieldType.TIMESTAMP:
            return str(value) if isinstance(value, str) and parse_time(value) is not None else None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> float | None:
    if not (_is_int(value) or isinstance(value, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_storable(text: str) -> bool:
    """Return True for a text without NUL and halves of surrogate pairs, which PostgreSQL and CEL reject."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def parse_time(text: str) -> datetime | None:
    """Return an ISO 8601 time with an offset in UTC. A time without an offset is refused."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class FactSheet:
    """The known facts of one submission, flat. An absent fact is missing.

    ``too_long`` are texts that are known but over LONGEST_TEXT, so that they count as missing. ``ages`` are
    seconds by group of facts. ``problems`` are the reasons why sources of evidence did not answer.
    ``browser`` are the sources whose evidence the participant's browser sent.
    """

    values: Mapping[str, Plain]
    too_long: tuple[str, ...] = ()
    ages: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    browser: frozenset[str] = frozenset()

    @classmethod
    def read(cls, facts: Facts, types: Mapping[str, FieldType]) -> "FactSheet":
        values: dict[str, Plain] = {}
        too_long: list[str] = []
        for name, kind in types.items():
            value = typed(kind, _dig(facts, name))
            if isinstance(value, str) and len(value) > LONGEST_TEXT:
                too_long.append(name)
            elif value is not None:
                values[name] = value
        problems = facts.get(PROBLEMS)
        problems = problems if isinstance(problems, dict) else {}
        return cls(values, tuple(too_long), _ages(facts), problems, _from_browsers(facts, types))

    def age(self, name: str) -> int | None:
        """Return the age of a value in seconds; None if it is missing or its time was not recorded."""
        return self.ages.get(name.rpartition(".")[0]) if name in self.values else None

    def changed(self, name: str, value: Plain) -> "FactSheet":
        """Return the sheet with another value of one fact."""
        too_long = tuple(fact for fact in self.too_long if fact != name)
        return replace(self, values={**self.values, name: value}, too_long=too_long, problems={})

    def missing(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in self.values)


def _from_browsers(facts: Facts, types: Mapping[str, FieldType]) -> frozenset[str]:
    """Return the sources that a browser sent. A declared field of that name is not the mark."""
    evidence = facts.get("evidence")
    found = evidence.items() if isinstance(evidence, dict) else ()
    return frozenset(
        source
        for source, given in found
        if isinstance(given, dict)
        and given.get(ORIGIN) == EvidenceOrigin.BROWSER
        and f"evidence.{source}.{ORIGIN}" not in types
    )


def _ages(facts: Facts) -> dict[str, int]:
    """Return the age of each group in seconds; facts recorded by earlier versions have none."""
    now, seen = facts.get("now"), facts.get(SEEN_AT)
    until = parse_time(now) if isinstance(now, str) else None
    if until is None or not isinstance(seen, dict):
        return {}
    times = {group: parse_time(at) for group, at in seen.items() if isinstance(at, str)}
    ages = {group: max(0, int((until - at).total_seconds())) for group, at in times.items() if at}
    return {"": 0, **ages}


def _dig(facts: Any, name: str) -> Any:
    for part in name.split("."):
        if not isinstance(facts, dict):
            return None
        facts = facts.get(part)
    return facts
