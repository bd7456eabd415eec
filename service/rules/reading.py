"""Reads nodes as what the format wants in their place, and tells each thing that isn't so."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from service.domain.duration import parse as parse_duration
from service.rules.format import document
from service.rules.format.document import Node, Scalar
from service.rules.format.findings import Code, Findings, Mark
from service.rules.lint.hints import did_you_mean

NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
WHOLE = re.compile("[-+]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A value in a mapping, with the place of its key."""

    key: Mark
    node: Node


Entries = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Reader:
    """Every method gives the value or None, and then has added a finding."""

    findings: Findings

    def entries(self, node: Node, path: str) -> Entries | None:
        """A mapping of any keys."""
        if not isinstance(node, document.Mapping):
            self.refuse(node, path, "a mapping (`key: value`)")
            return None
        return {key: Entry(at.start, value) for key, (at, value) in node.entries.items()}

    def fields(
        self,
        node: Node,
        path: str,
        known: Iterable[str],
        required: Iterable[str] = (),
    ) -> Entries | None:
        """A mapping of known keys only."""
        found = self.entries(node, path)
        if found is None:
            return None
        names = list(known)
        for key, entry in found.items():
            if key not in names:
                message = f"there is no key `{key}` here{did_you_mean(key, names)}"
                self.findings.add(Code.UNKNOWN_KEY, entry.key, join(path, key), message)
        for key in required:
            if key not in found:
                self.findings.add(Code.MISSING_KEY, node.start, path, f"`{key}` is missing")
        return {key: entry for key, entry in found.items() if key in names}

    def items(self, node: Node, path: str, of: str) -> list[Node] | None:
        """A list of one item or more."""
        if not isinstance(node, document.Sequence):
            self.refuse(node, path, f"a list of {of}")
            return None
        if not node.items:
            self.findings.add(Code.EMPTY, node.start, path, f"an empty list; it needs {of}")
            return None
        return node.items

    def text(self, node: Node, path: str) -> str | None:
        """As written: what looks like a number to YAML stays the digits that stand there."""
        if not isinstance(node, Scalar) or node.is_null or node.is_bool:
            self.refuse(node, path, "a text (in quotes, where YAML reads something else)")
            return None
        if not node.value.strip():
            self.findings.add(Code.EMPTY, node.start, path, "an empty text")
            return None
        if "\0" in node.value:
            self.wrong(node, path, "a text can't hold the character NUL")
            return None
        return node.value

    def written(self, node: Node, path: str) -> str | None:
        """A text that may be empty."""
        if isinstance(node, Scalar) and not node.plain and not node.value.strip():
            return node.value
        return self.text(node, path)

    def flag(self, node: Node, path: str) -> bool | None:
        if not isinstance(node, Scalar) or not node.is_bool:
            self.refuse(node, path, "true or false")
            return None
        return node.value == "true"

    def choice(self, node: Node, path: str, allowed: Collection[str]) -> str | None:
        text = self.text(node, path)
        if text is None or text in allowed:
            return text
        message = f"`{shortened(text)}` is none of {', '.join(allowed)}{did_you_mean(text, allowed)}"
        self.wrong(node, path, message)
        return None

    def whole(self, node: Node, path: str, least: int, of: str = "") -> int | None:
        if not isinstance(node, Scalar) or not node.plain or not WHOLE.fullmatch(node.value):
            self.refuse(node, path, f"a whole number{of}")
            return None
        number = int(node.value)
        if number >= least:
            return number
        self.wrong(node, path, f"must be {least} or more")
        return None

    def number(self, node: Node, path: str, least: float, most: float) -> float | None:
        if not isinstance(node, Scalar) or not node.plain or not NUMBER.fullmatch(node.value):
            self.refuse(node, path, "a number")
            return None
        number = float(node.value)
        if math.isfinite(number) and least <= number <= most:
            return number
        self.wrong(node, path, f"must be from {least:g} to {most:g}")
        return None

    def duration(self, node: Node, path: str) -> timedelta | None:
        text = self.text(node, path)
        if text is None:
            return None
        duration = parse_duration(text)
        if duration is None:
            message = f"`{shortened(text)}` is no duration; write it like 30m, 12h, 7d or 1h30m, above zero"
            self.wrong(node, path, message)
            return None
        return duration

    def later(self, at: Mark, path: str, what: str) -> None:
        self.findings.add(Code.NOT_SUPPORTED_YET, at, path, f"{what} is not supported yet")

    def wrong(self, node: Node, path: str, message: str) -> None:
        self.findings.add(Code.BAD_VALUE, node.start, path, message)

    def refuse(self, node: Node, path: str, wanted: str) -> None:
        self.findings.add(Code.WRONG_TYPE, node.start, path, f"must be {wanted}, not {described(node)}")


def join(path: str, key: str) -> str:
    name = shortened(key)
    return f"{path}.{name}" if path else name


def nodes(found: Mapping[str, Entry]) -> dict[str, Node]:
    return {key: entry.node for key, entry in found.items()}


def shortened(text: str) -> str:
    """For messages: one line, not endless."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"


def described(node: Node) -> str:
    if isinstance(node, document.Mapping):
        return "a mapping"
    if isinstance(node, document.Sequence):
        return "a list"
    if node.is_null:
        return "nothing"
    if node.is_bool:
        return node.value
    if node.plain and NUMBER.fullmatch(node.value):
        return f"the number {shortened(node.value)}"
    return f"the text `{shortened(node.value)}`"
