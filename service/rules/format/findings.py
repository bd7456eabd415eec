"""Findings in rule files: each has a place, a stable code and a message."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from service.errors import RulesError
from service.rules.lint.policy import Policy


class Code(StrEnum):
    """Stable: scripts and rules/README.md name them. ``MEANINGS`` explains each."""

    UNREADABLE = "RUL001"
    SYNTAX = "RUL002"
    EMPTY = "RUL003"
    DUPLICATE_KEY = "RUL004"
    UNKNOWN_KEY = "RUL005"
    MISSING_KEY = "RUL006"
    WRONG_TYPE = "RUL007"
    BAD_VALUE = "RUL008"
    STUDY_CLAIMED_TWICE = "RUL010"
    CONDITION_SYNTAX = "RUL011"
    UNKNOWN_NAME = "RUL012"
    CONDITION_TYPE = "RUL013"
    REFUSED_FUNCTION = "RUL014"
    BAD_LITERAL = "RUL015"
    TEMPLATE = "RUL016"
    MESSAGE_TOO_SHORT = "RUL017"
    ACTION_COUNT = "RUL018"
    DUPLICATE_NAME = "RUL019"
    UNREACHABLE = "RUL020"
    NOT_READ = "RUL021"
    NEEDLESS_ALLOW = "RUL022"
    NOTHING_EXPECTED = "RUL023"
    NO_EFFECT = "RUL024"
    COSTLY_PATTERN = "RUL025"
    UNBOUNDED_TEXT = "RUL026"
    IMPOSSIBLE_VALUE = "RUL027"
    STUDY_ID = "RUL028"
    NEVER_DECIDES = "RUL030"
    ALWAYS_DECIDES = "RUL031"
    SAME_CONDITION = "RUL032"
    GAP = "RUL033"


MEANINGS: dict[Code, str] = {
    Code.UNREADABLE: "the file or folder can't be read: missing, over 1 MiB, not UTF-8, or a link out of the folder",
    Code.SYNTAX: "not valid YAML, several documents in one file, or a part of YAML that rule files do without",
    Code.EMPTY: "an empty file, folder, section or list",
    Code.DUPLICATE_KEY: "a key stands twice in one mapping",
    Code.UNKNOWN_KEY: "a key that the format doesn't have",
    Code.MISSING_KEY: "a key that must be there is not",
    Code.WRONG_TYPE: "a text, number, list or mapping where another is wanted",
    Code.BAD_VALUE: "the right type, but not a value that is allowed",
    Code.STUDY_CLAIMED_TWICE: "two files name one study, or two say `studies: all`",
    Code.CONDITION_SYNTAX: "a condition that is not CEL",
    Code.UNKNOWN_NAME: "a condition or a test names a fact, or a condition a function, that doesn't exist",
    Code.CONDITION_TYPE: "a condition compares different types, or its result is not true or false",
    Code.REFUSED_FUNCTION: "has() or dyn() in a condition",
    Code.BAD_LITERAL: "a duration, time, zone or pattern in a condition that can never be read",
    Code.TEMPLATE: "a placeholder in a text to people that names no fact or has a format other than decimals, or a lone brace",
    Code.MESSAGE_TOO_SHORT: "a rejection's message has under 100 characters without what is filled in",
    Code.ACTION_COUNT: "a rule has no action, or several",
    Code.DUPLICATE_NAME: "two rules of a file have the same name",
    Code.UNREACHABLE: "a rule after one that always matches",
    Code.NOT_READ: "a file in the folder that looks like rules but isn't read, such as `rules.yaml.txt` (warning)",
    Code.NEEDLESS_ALLOW: "a rule allows a policy finding that it doesn't have (warning)",
    Code.NOTHING_EXPECTED: "a test that expects nothing, so it can't fail",
    Code.NO_EFFECT: "a `hold_at_most` of over 21 days: Prolific itself pays on day 21 (warning)",
    Code.COSTLY_PATTERN: "a pattern of matches() that is not in quotes, is inside a macro, or takes too long",
    Code.UNBOUNDED_TEXT: "matches() on a field of evidence whose length no condition before it limits (warning)",
    Code.IMPOSSIBLE_VALUE: "a value that the fact never has, in a comparison or in a test's `given` (warning, except for a comparison with `submission.status`)",
    Code.STUDY_ID: "an id that is copied wrongly; a warning where it looks like no id of Prolific at all",
    Code.NEVER_DECIDES: "a rule that can never match, or only where a rule before it decides (warning)",
    Code.ALWAYS_DECIDES: "a rule that always matches where no rule before it does, so that no later one decides (warning)",
    Code.SAME_CONDITION: "a rule with the condition of an earlier one (warning)",
    Code.GAP: "two rules that leave out the very number between them, with < and > (warning)",
}


class Mark(NamedTuple):
    """A place in a file, both counted from 1."""

    line: int
    column: int


START = Mark(1, 1)
INDEX = re.compile(r"\[\d+\]")
ITEM = re.compile(r"(?:rules|tests)\[\d+\]")

# ``allowed``: a policy finding that the rule accepts with ``allow`` and ``because``.
Severity = Literal["error", "warning", "allowed"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A problem at one place of a file.

    ``path`` is the place in the file's structure (``rules[0].when``), ``subject`` the same for people
    (``rule ‘too fast’, when``), ``source`` the line of the file.
    """

    file: str
    line: int
    column: int
    code: str
    path: str
    message: str
    severity: Severity = "error"
    subject: str = field(default="", compare=False)
    source: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """Return file, line, column and code: nothing of the file's content."""
        return f"{self.file}:{self.line}:{self.column}: {self.code}"

    def __str__(self) -> str:
        subject = self.subject or self.path
        return f"{self.place} {self.severity} {f'{subject}: ' if subject else ''}{self.message}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Findings:
    """Collects the findings of one file, so that all of them are reported at once.

    ``lines`` are the file's; ``subjects`` names rules and tests, by their paths (``rules[0]``).
    """

    file: str
    found: dict[Finding, None] = field(default_factory=dict)
    lines: Sequence[str] = ()
    subjects: Mapping[str, str] = field(default_factory=dict)

    def add(
        self,
        code: Code | Policy,
        at: Mark,
        path: str,
        message: str,
        severity: Severity = "error",
    ) -> None:
        source = self.lines[at.line - 1] if at.line <= len(self.lines) else ""
        subject = self._subject(path)
        finding = Finding(self.file, at.line, at.column, code.value, path, message, severity, subject, source)
        self.found[finding] = None

    def _subject(self, path: str) -> str:
        """Return the place as people call it: rules and tests by name, other items by the list they stand in."""
        item = ITEM.match(path)
        if item is None or item[0] not in self.subjects:
            return INDEX.sub("", path)
        key = INDEX.sub("", path[item.end() :]).removeprefix(".")
        return f"{self.subjects[item[0]]}, {key}" if key else self.subjects[item[0]]

    @property
    def has_errors(self) -> bool:
        return any(finding.severity == "error" for finding in self.found)


class InvalidRules(RulesError):
    """The rules have errors. ``findings`` has all of them, in a stable order."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(str(finding) for finding in findings))


def shortened(text: str) -> str:
    """Return a text for messages: on one line, 60 characters or a little more."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"
