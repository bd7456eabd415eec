"""Reads ``tests``: what is given is held against the declared facts, what is expected against the rules."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.decision import REJECTION_CATEGORIES, Outcome
from service.rules.cases.case import Case
from service.rules.facts import INT_BOUND, FieldType, Plain, typed
from service.rules.format import document
from service.rules.format.document import Node, Scalar
from service.rules.format.findings import Code, Mark
from service.rules.lint.hints import did_you_mean, unknown_fact
from service.rules.reading import Entries, Entry, Reader, join

WOULD = "would"
EXPECTED = ("outcome", "rule", "reason", "message", "category", "tag", "guard", "undecidable", WOULD)
GUARDS = ("undecidable", "waiting", "message", "no_such_code", "policy")
"""What a test sees of guards: the others look at more of the world than facts."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "outcome": tuple(outcome.value for outcome in Outcome),
    "category": REJECTION_CATEGORIES,
    "guard": GUARDS,
}
MAY_BE_NONE = frozenset({"rule", "tag", "guard", "category"})
"""Written as null: no rule (``otherwise``), no tag, no guard, no category."""

CODES = "codes"


@dataclass(frozen=True, slots=True)
class CaseReader:
    """``types`` of all facts, None where the declaration has an error; ``rules`` are the rules' names.

    ``observed`` are those of them that are only observed.
    """

    reader: Reader
    types: Mapping[str, FieldType | None]
    sources: Collection[str]
    rules: Collection[str]
    observed: Collection[str]

    def read(self, node: Node | None) -> tuple[Case, ...]:
        if node is None or (isinstance(node, document.Sequence) and not node.items):
            return ()
        items = self.reader.items(node, "tests", "tests") or []
        cases = [self._case(item, f"tests[{index}]") for index, item in enumerate(items)]
        return tuple(case for case in cases if case)

    def _case(self, node: Node, path: str) -> Case | None:
        found = self.reader.fields(node, path, ("name", "given", "expect"), ("name", "expect"))
        if found is None:
            return None
        name = self.reader.text(found["name"].node, join(path, "name")) if "name" in found else None
        given, codes, sources = self._given(found, join(path, "given"))
        expected = self._expected(found["expect"].node, join(path, "expect")) if "expect" in found else {}
        return Case(name or "", node.start.line, given, frozenset(sources), codes, expected)

    def _given(
        self, found: Entries, path: str
    ) -> tuple[dict[str, Plain | None], tuple[str, ...] | None, list[str]]:
        given: dict[str, Plain | None] = {}
        codes: tuple[str, ...] | None = None
        sources: list[str] = []
        entries = self.reader.entries(found["given"].node, path) if "given" in found else None
        for key, entry in (entries or {}).items():
            here = join(path, key)
            if key == CODES:
                codes = self._codes(entry.node, here)
            elif key == "evidence":
                sources = self._evidence(entry.node, here, given)
            else:
                self._group(key, entry, here, given)
        return given, codes, sources

    def _codes(self, node: Node, path: str) -> tuple[str, ...]:
        """The types, or the codes themselves; an empty list: the study has none."""
        if isinstance(node, document.Sequence) and not node.items:
            return ()
        items = self.reader.items(node, path, "code types") or []
        texts = [self.reader.text(item, f"{path}[{index}]") for index, item in enumerate(items)]
        return tuple(text for text in texts if text)

    def _evidence(self, node: Node, path: str, given: dict[str, Plain | None]) -> list[str]:
        """The sources that are given; one that is null has not answered."""
        named: list[str] = []
        for name, entry in (self.reader.entries(node, path) or {}).items():
            if name not in self.sources:
                message = f"no source {name} is declared under evidence{did_you_mean(name, self.sources)}"
                self.reader.findings.add(Code.UNKNOWN_NAME, entry.key, join(path, name), message)
            elif not (isinstance(entry.node, Scalar) and entry.node.is_null):
                named.append(name)
                self._group(f"evidence.{name}", entry, join(path, name), given)
        return named

    def _group(self, group: str, at: Entry, path: str, given: dict[str, Plain | None]) -> None:
        """One fact, such as ``now``, or several below one name."""
        if group in self.types:
            given[group] = self._value(group, at.node, path)
        elif not any(fact.startswith(f"{group}.") for fact in self.types):
            known = dict.fromkeys([*(fact.partition(".")[0] for fact in self.types), "evidence", CODES])
            message = f"there is no key `{group}` here{did_you_mean(group, known)}"
            self.reader.findings.add(Code.UNKNOWN_KEY, at.key, path, message)
        else:
            for key, entry in (self.reader.entries(at.node, path) or {}).items():
                fact = f"{group}.{key}"
                if fact in self.types:
                    given[fact] = self._value(fact, entry.node, join(path, key))
                else:
                    self._unknown(entry.key, join(path, key), fact)

    def _unknown(self, at: Mark, path: str, fact: str) -> None:
        self.reader.findings.add(Code.UNKNOWN_NAME, at, path, unknown_fact(fact, self.types))

    def _value(self, fact: str, node: Node, path: str) -> Plain | None:
        """None if it is given as missing: ``null``."""
        kind = self.types[fact]
        if kind is None or (isinstance(node, Scalar) and node.is_null):
            return None
        match kind:
            case FieldType.INT:
                return self.reader.whole(node, path, 1 - INT_BOUND)
            case FieldType.DOUBLE:
                return self.reader.number(node, path, float("-inf"), float("inf"))
            case FieldType.BOOL:
                return self.reader.flag(node, path)
            case FieldType.STRING:
                return self.reader.written(node, path)
            case FieldType.TIMESTAMP:
                return self._timestamp(node, path)

    def _timestamp(self, node: Node, path: str) -> str | None:
        text = self.reader.text(node, path)
        if text is not None and typed(FieldType.TIMESTAMP, text) is None:
            self.reader.wrong(node, path, f"`{text}` is no time; write it like 2026-01-31T09:00:00Z")
            return None
        return text

    def _expected(self, node: Node, path: str) -> dict[str, Any]:
        found = self.reader.fields(node, path, EXPECTED)
        if found == {} and isinstance(node, document.Mapping) and not node.entries:
            message = f"expects nothing; name some of {', '.join(EXPECTED)}"
            self.reader.findings.add(Code.NOTHING_EXPECTED, node.start, path, message)
        return {key: self._wanted(key, entry.node, join(path, key)) for key, entry in (found or {}).items()}

    def _wanted(self, key: str, node: Node, path: str) -> str | bool | dict[str, str | None] | None:
        if key == WOULD:
            return self._would(node, path)
        if key == "undecidable":
            return self.reader.flag(node, path)
        if key in MAY_BE_NONE and isinstance(node, Scalar) and node.is_null:
            return None
        if key in CHOICES:
            return self.reader.choice(node, path, CHOICES[key])
        return self._rule(node, path) if key == "rule" else self.reader.text(node, path)

    def _rule(self, node: Node, path: str) -> str | None:
        name = self.reader.text(node, path)
        if name is not None and name not in self.rules:
            hint = "; write null" if name == "otherwise" else did_you_mean(name, self.rules)
            self.reader.wrong(node, path, f"{_no_rule(name)}{hint}")
        elif name in self.observed:
            self.reader.wrong(node, path, f"‘{name}’ is only observed: expect it under `would`")
        return name

    def _would(self, node: Node, path: str) -> dict[str, str | None]:
        """By the name of a rule that is only observed; None: it doesn't match, or isn't asked."""
        entries = self.reader.entries(node, path)
        if entries == {}:
            self.reader.findings.add(Code.NOTHING_EXPECTED, node.start, path, "names no rule")
        return {
            name: self._outcome(entry.node, join(path, name))
            for name, entry in (entries or {}).items()
            if self._is_observed(name, entry, path)
        }

    def _is_observed(self, name: str, entry: Entry, path: str) -> bool:
        problem = None
        if name not in self.rules:
            problem = f"{_no_rule(name)}{did_you_mean(name, self.observed)}"
        elif name not in self.observed:
            problem = f"‘{name}’ is not observed, it decides: expect it as `rule`"
        if problem:
            self.reader.findings.add(Code.BAD_VALUE, entry.key, join(path, name), problem)
        return problem is None

    def _outcome(self, node: Node, path: str) -> str | None:
        if isinstance(node, Scalar) and node.is_null:
            return None
        return self.reader.choice(node, path, CHOICES["outcome"])


def _no_rule(name: str) -> str:
    return f"no rule of this file is called ‘{name}’"
