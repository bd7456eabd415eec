"""The stored part of a source's answer: the declared fields, each converted to its type."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.evidence.asked import Answered, Failed, NotYet, Outcome
from service.rules import Source
from service.rules.delivery import FieldReader, Fields, declared_fields, read_fields
from service.rules.evidence import PARTICIPANT_ID
from service.rules.facts import FieldType, Plain

LARGEST = 64 * 1024  # bytes of what is stored, as of what is pushed


@dataclass(frozen=True, slots=True)
class Usable:
    """Values to store; ``problem`` names the fields that are missing because they can't be used."""

    values: Mapping[str, Plain]
    problem: str | None = None


def used(source: Source, outcome: Outcome) -> Usable | NotYet | Failed:
    """Read the declared fields of an answer. One without any value is *not yet*, or failed if it has wrong ones."""
    if not isinstance(outcome, Answered):
        return outcome
    fields = _cells(source, outcome) if source.origin == "csv" else _values(source, outcome.document)
    reasons = [sentence for _, sentence in (*fields.problems, *fields.warnings, *fields.absent)]
    # The participant alone is no evidence: a platform may add the row before the survey ends.
    if not fields.values.keys() - {PARTICIPANT_ID}:
        reason = "; ".join(reasons) or "the answer has no value yet"
        return Failed(reason) if fields.problems or fields.warnings else NotYet(reason)
    if len(json.dumps(dict(fields.values))) > LARGEST:
        return Failed(f"the answer has more than {LARGEST:,} bytes in declared fields")
    return Usable(fields.values, "; ".join(reasons) or None)


def _values(source: Source, document: Mapping[str, Any]) -> Fields:
    # Only of databases: a JSON document with 1 for a boolean has a mistake to report.
    if source.origin == "sql":
        document = {name: _as_declared(source.fields.get(name), value) for name, value in document.items()}
    return read_fields(source, document)


def _cells(source: Source, answer: Answered) -> Fields:
    """Read a row of a CSV file. ``map`` has names of columns, which are no expressions."""
    read = FieldReader()
    for name, kind in declared_fields(source):
        column = source.map.get(name, name)
        if column in answer.document:
            read.add(name, kind, answer.document[column], f"{answer.place}, column {column}")
        elif name != PARTICIPANT_ID:
            read.absent.append((name, f"{name}: the file has no column {column}"))
    return read.fields()


def _as_declared(kind: FieldType | None, value: object) -> object:
    """Convert 1 and 0 to booleans, for which SQLite and MySQL have no type."""
    if kind is FieldType.BOOL and isinstance(value, int) and value in (0, 1):
        return bool(value)
    return value
