"""Read a document of a survey platform by the source that a rule file declares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from service.domain.printable import printable
from service.domain.submission import IDENTIFIER
from service.rules.conversion import LONGEST_NAME, convert, shown, unfilled
from service.rules.evidence import PARTICIPANT_ID, Source
from service.rules.facts import FieldType, Plain
from service.rules.lint.names import did_you_mean
from service.rules.paths import Unreadable, search

KEYS_COMPARED = 50

# Pairs of a field (or ``key``) and a message that names it.
Remarks = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """The declared fields of a document: ``values`` of those that have one, ``absent`` those with nothing there.

    ``problems`` are values that are refused, ``warnings`` placeholders that were never filled in: both are missing.
    ``values`` also has ``participant_id`` where the document names a participant.
    """

    values: Mapping[str, Plain]
    problems: Remarks = ()
    warnings: Remarks = ()
    absent: Remarks = ()


@dataclass(slots=True)
class FieldReader:
    """Collects the fields of a document as they are read, each under its kind of result."""

    values: dict[str, Plain] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    absent: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, kind: FieldType, found: Any, place: str) -> bool:
        """Convert what stands at ``place``. Return False if nothing does."""
        converted = convert(kind, found)
        if converted.problem:
            self.problems.append((name, f"{place}: {converted.problem}"))
        elif converted.warning:
            self.warnings.append((name, f"{place}: {converted.warning}"))
        elif converted.value is not None:
            self.values[name] = converted.value
        else:
            return False
        return True

    def fields(self) -> Fields:
        return Fields(self.values, tuple(self.problems), tuple(self.warnings), tuple(self.absent))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A document as understood. ``submission`` is None where no key was found; ``problems`` then says why."""

    submission: str | None
    fields: Fields
    problems: Remarks = ()


def understand(source: Source, document: Mapping[str, Any]) -> Delivery:
    """Read a document that was sent: the submission by ``key``, each field by ``map``, texts converted."""
    submission, problem = find_key(source, document)
    fields = read_fields(source, document)
    problems = fields.problems
    if problem:
        problems = (("key", problem), *problems)
    if len(fields.absent) == len(source.fields):
        declared = ", ".join(source.map.get(name, name) for name in source.fields)
        problems = (*problems, ("fields", f"the body has nothing at any field of {source.name}: {declared}"))
    return Delivery(submission, fields, problems)


def find_key(source: Source, document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the submission that a document names, or None and a sentence that says what is wrong."""
    try:
        found = search(source.key, document)
    except Unreadable as error:
        return None, f"{source.key} can't be evaluated: {error}"
    if found is None or (isinstance(found, str) and not found.strip()):
        return None, f"the body names no submission: there is nothing at {source.key}"
    if not isinstance(found, str):
        return None, f"the submission id at {source.key} must be a text"
    if mistake := unfilled(found):
        return None, f"the submission id at {source.key} is missing: {mistake}"
    if not IDENTIFIER.fullmatch(found.strip()):
        return None, f"what stands at {source.key} is no submission id: '{shown(found)}'"
    return found.strip(), None


def read_fields(source: Source, document: Mapping[str, Any]) -> Fields:
    """Read each declared field of a document, and convert it to its type."""
    read = FieldReader()
    for name, kind in declared_fields(source):
        where = source.map.get(name, name)
        place = name if where == name else f"{name} (at {where})"
        try:
            found = search(where, document) if name in source.map else document.get(name)
        except Unreadable as error:
            read.problems.append((name, f"{place}: can't be evaluated: {error}"))
            continue
        is_there = read.add(name, kind, found, place) or found is not None or where in document
        if not is_there and name != PARTICIPANT_ID:
            read.absent.append((name, f"{name}: nothing at {where}{_hint(where, document)}"))
    return read.fields()


def declared_fields(source: Source) -> Iterator[tuple[str, FieldType]]:
    """Yield what is read of a source: its fields, and the participant that every source may name."""
    yield from source.fields.items()
    yield PARTICIPANT_ID, FieldType.STRING


def _hint(where: str, document: Mapping[str, Any]) -> str:
    """Return what was probably meant, among the first keys of a document."""
    return _nearest(where, tuple(key for key in islice(document, KEYS_COMPARED) if len(key) <= LONGEST_NAME))


@lru_cache(maxsize=256)  # the rows of a file have the same keys, and comparing them takes a millisecond
def _nearest(where: str, keys: tuple[str, ...]) -> str:
    return printable(did_you_mean(where, keys))
