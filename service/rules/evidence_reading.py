"""Reads ``evidence``: sources, their fields and types."""

from dataclasses import dataclass, field

from service.rules.evidence import EVIDENCE_TYPES, RECEIVED, Source, name_problem
from service.rules.facts import FieldType
from service.rules.format.document import Node
from service.rules.format.findings import Code
from service.rules.reading import Entries, Entry, Reader, join

PUSH = "push"
LATER_ORIGINS = ("http", "sql", "csv")


@dataclass(slots=True)
class Declared:
    """``types`` of the facts named, None for a field whose type can't be read."""

    sources: dict[str, Source] = field(default_factory=dict)
    types: dict[str, FieldType | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvidenceReader:
    reader: Reader

    def read(self, node: Node) -> Declared:
        declared = Declared()
        for name, entry in (self.reader.entries(node, "evidence") or {}).items():
            path = join("evidence", name)
            if self._usable_name(name, entry, path):
                self._source(name, entry.node, path, declared)
        return declared

    def _usable_name(self, name: str, entry: Entry, path: str) -> bool:
        problem = name_problem(name)
        if problem:
            self.reader.findings.add(Code.BAD_VALUE, entry.key, path, f"`{name}`: {problem}")
        return problem is None

    def _source(self, name: str, node: Node, path: str, declared: Declared) -> None:
        entries = self.reader.entries(node, path)
        if entries is None:
            return
        later = self._is_later(entries, path)
        known, required = (("from", "fields", "wait"), ("from", "fields")) if not later else (entries, ())
        found = self.reader.fields(node, path, known, required) or {}
        wait = self.reader.duration(found["wait"].node, join(path, "wait")) if "wait" in found else None
        fields = (
            self._fields(name, found["fields"].node, join(path, "fields"), declared)
            if "fields" in found
            else {}
        )
        declared.types[f"evidence.{name}.{RECEIVED}"] = FieldType.BOOL
        declared.sources[name] = Source(name, fields, wait)

    def _is_later(self, entries: Entries, path: str) -> bool:
        """Whether it comes from where a later version looks: its other keys are that version's."""
        if "from" not in entries:
            return False
        node, here = entries["from"].node, join(path, "from")
        origin = self.reader.choice(node, here, (PUSH, *LATER_ORIGINS))
        if origin not in LATER_ORIGINS:
            return False
        self.reader.later(node.start, here, f"`from: {origin}`")
        return True

    def _fields(self, source: str, node: Node, path: str, declared: Declared) -> dict[str, FieldType]:
        entries = self.reader.entries(node, path)
        if entries == {}:
            self.reader.findings.add(Code.EMPTY, node.start, path, "names no field")
        fields: dict[str, FieldType] = {}
        for name, entry in (entries or {}).items():
            here = join(path, name)
            if not self._usable_name(name, entry, here):
                continue
            kind = self.reader.choice(entry.node, here, [kind.value for kind in EVIDENCE_TYPES])
            declared.types[f"evidence.{source}.{name}"] = FieldType(kind) if kind else None
            if kind:
                fields[name] = FieldType(kind)
        return fields
