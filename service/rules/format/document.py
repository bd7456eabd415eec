"""A YAML file as a tree of nodes with their places.

Built from PyYAML's events rather than by ``compose()``: libyaml's composer recurses in C and a file of
brackets takes the process down. Scalars keep their raw text, so ids stay the digits as written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from service.rules.format import yaml_errors
from service.rules.format.findings import START, Code, Findings, Mark
from service.rules.format.yaml_errors import mark, quoted

MAX_DEPTH = 32
MAX_NODES = 200_000  # with every alias counted as often as it is used
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(slots=True)
class Scalar:
    value: str
    start: Mark
    style: str | None = None
    """None for plain, else the quote or block indicator."""
    source: str = ""
    """As written, from ``start`` on."""

    @property
    def plain(self) -> bool:
        return not self.style

    @property
    def is_null(self) -> bool:
        return self.plain and self.value in NULLS

    @property
    def is_bool(self) -> bool:
        """Return True for a boolean of YAML 1.2, where ``yes`` and ``off`` are texts."""
        return self.plain and self.value in ("true", "false")


@dataclass(slots=True)
class Sequence:
    start: Mark
    items: list["Node"] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Mapping:
    start: Mark
    entries: dict[str, tuple[Scalar, "Node"]] = field(default_factory=dict)
    key: Scalar | None = None
    """The key whose value comes next, while the tree is built."""
    size: int = 1


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """Return the tree as dicts and lists; scalars stay as they are, with their places."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    return [plain(item) for item in node.items] if isinstance(node, Sequence) else node


class Refused(Exception):  # not an error of the tree in service.errors: it never leaves this module
    def __init__(self, at: Mark, message: str, code: Code = Code.SYNTAX) -> None:
        self.at, self.message, self.code = at, message, code
        super().__init__(message)


def read(text: str, findings: Findings) -> Node | None:
    """Return the one document of ``text``. Return None and add a finding if there is none."""
    try:
        _refuse_unprintable(text)
        return _Builder(text, findings).build()
    except Refused as refused:
        findings.add(refused.code, refused.at, "", refused.message)
    except yaml.MarkedYAMLError as error:
        at, message = yaml_errors.explain(error, text)
        findings.add(Code.SYNTAX, at, "", message)
    except yaml.YAMLError as error:
        findings.add(Code.SYNTAX, START, "", f"not valid YAML: {error}")
    return None


def _refuse_unprintable(text: str) -> None:
    if bad := UNPRINTABLE.search(text):
        before = text[: bad.start()]
        at = Mark(before.count("\n") + 1, bad.start() - before.rfind("\n"))
        raise Refused(at, f"the character U+{ord(bad.group()):04X} can't stand in a YAML file")


def _index(mark: Any) -> int:
    return int(mark.index)


class _Builder:
    """Builds a tree from the stream of events, with an explicit stack."""

    def __init__(self, text: str, findings: Findings) -> None:
        self.text = text
        self.findings = findings
        self.open: list[Sequence | Mapping] = []
        self.anchors: dict[str, Node | None] = {}
        self.opened_anchors: list[str | None] = []
        self.root: Node | None = None

    def build(self) -> Node:
        documents = 0
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Refused(mark(event.start_mark), "one file holds one document: a second starts here")
            self._take(event)
        if self.root is None or (isinstance(self.root, Scalar) and self.root.is_null):
            raise Refused(START, "the file is empty", Code.EMPTY)
        return self.root

    def _events(self) -> Iterator[yaml.Event]:
        events: Iterator[yaml.Event] = yaml.parse(self.text, Loader=yaml.CSafeLoader)
        return events

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent() | yaml.AliasEvent():
                self._put(self._leaf(event))
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._start(event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()

    def _leaf(self, event: yaml.ScalarEvent | yaml.AliasEvent) -> Node:
        at = mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            node = self.anchors.get(event.anchor or "")
            if node is None:
                message = f"no anchor &{event.anchor} is complete before this place; a text that starts with `*` goes in quotes"
                raise Refused(at, message)
            return node
        self._refuse_tag(event)
        source = self.text[_index(event.start_mark) : _index(event.end_mark)]
        style = event.style if event.style in ("'", '"', "|", ">") else None
        if event.tag:  # !!str, or the bare ! that also means text
            style = style or "!"
        node = Scalar(event.value, at, style, source)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        at = mark(event.start_mark)
        self._refuse_tag(event)
        if len(self.open) >= MAX_DEPTH:
            raise Refused(at, f"nested deeper than {MAX_DEPTH} levels")
        is_sequence = isinstance(event, yaml.SequenceStartEvent)
        self.open.append(Sequence(at) if is_sequence else Mapping(at))
        self.opened_anchors.append(event.anchor)

    def _end(self) -> None:
        node, anchor = self.open.pop(), self.opened_anchors.pop()
        if anchor:
            self.anchors[anchor] = node
        self._put(node)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag in (None, "!", "tag:yaml.org,2002:str"):
            return
        line = self.text.splitlines()[event.start_mark.line]
        message = f"YAML tags are not used here: quote the line that starts with `!`{quoted(line)}"
        raise Refused(mark(event.start_mark), message)

    def _put(self, node: Node) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += 1 if isinstance(node, Scalar) else node.size
        if parent.size > MAX_NODES:
            raise Refused(parent.start, "too many nodes here, aliases counted as often as they are used")
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif parent.key is None:
            parent.key = _key(node)
        else:
            self._add_entry(parent, parent.key, node)

    def _add_entry(self, parent: Mapping, key: Scalar, node: Node) -> None:
        parent.key = None
        if key.value not in parent.entries:
            parent.entries[key.value] = key, node
            return
        first, _ = parent.entries[key.value]
        message = f"`{key.value}` stands twice, first in line {first.start.line}"
        self.findings.add(Code.DUPLICATE_KEY, key.start, "", message)


def _key(node: Node) -> Scalar:
    if not isinstance(node, Scalar):
        raise Refused(
            node.start, "a key must be a plain word; a text that starts with `{` or `[` goes in quotes"
        )
    return node
