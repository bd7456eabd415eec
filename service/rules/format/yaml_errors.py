"""Explain errors of the YAML parser by the line that the author sees."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from service.rules.format.findings import START, Mark

BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
LINE = re.compile(
    r"[ \t]*(?:- +)*(?P<key>when|hold|name|message|message_to_participant|tag|because): +(?P<text>\S.*)"
)
KEY = re.compile(r"(?P<before> *(?:- +)*)(?P<key>[\w.-]+):(?=\s|$)")
NO_SPACE_AFTER_DASH = re.compile(r" *(?P<dash>-)[A-Za-z_]\w*:(?:\s|$)")
NO_SPACE_AFTER_COLON = re.compile(r" *(?:- +)*(?P<key>[a-z_]\w*):(?=[^\s/])")
NO_COLON = re.compile(r" *(?:- +)*(?P<key>[a-z_]\w*)(?P<rest>\s+\S.*)?$")
OPENING = {"sequence": ("[", "]"), "mapping": ("{", "}")}
ESCAPE = "in double quotes `\\` starts an escape: use single quotes around the text, or write `\\\\`"
QUOTE_HINT = "a text with `: ` or ` #` in it, or that starts with a quote, `!`, `{` or `[`, goes in quotes"


class Explained(NamedTuple):
    at: Mark
    message: str


@dataclass(frozen=True, slots=True)
class _Problem:
    """``began`` is where the part starts that the parser was reading when it failed at ``at``."""

    parser_message: str
    context: str
    lines: list[str]
    began: Mark
    at: Mark

    @property
    def line(self) -> str:
        return self._line(self.at)

    @property
    def first_line(self) -> str:
        return self._line(self.began)

    def _line(self, at: Mark) -> str:
        return self.lines[at.line - 1] if at.line <= len(self.lines) else ""


def explain(error: yaml.MarkedYAMLError, text: str) -> Explained:
    """Return the place of the mistake, and what to change there."""
    at = mark(error.problem_mark or error.context_mark)
    began = mark(error.context_mark) if error.context_mark else at
    parser_message = error.problem or error.context or ""
    problem = _Problem(parser_message, error.context or "", BREAK.split(text), began, at)
    found = _explained(problem)
    return Explained(found.at, f"not valid YAML: {found.message}")


def _explained(problem: _Problem) -> Explained:
    if problem.parser_message == "found unexpected end of stream":
        return Explained(problem.began, "a quote that is never closed")
    if problem.line[problem.at.column - 1 :].startswith("\t"):
        return Explained(problem.at, "a tab can't indent, use spaces")
    explained = next(
        (explain for start, explain in EXPLAINED.items() if problem.parser_message.startswith(start)), None
    )
    return (explained and explained(problem)) or _quote_the_line(problem, problem.parser_message)


def mark(place: Any) -> Mark:
    return Mark(place.line + 1, place.column + 1) if place else START


def quoted(line: str) -> str:
    """Return `: key: 'text'`, the corrected line. Return an empty text if the value has several lines."""
    found = LINE.match(line)
    if found is None or found["text"][0] in "|>&*":
        return ""
    text, quote = found["text"].rstrip(), found["text"][0]
    if quote in "'\"" and len(text) > 1 and text.endswith(quote) and found["key"] != "when":
        text = text[1:-1]  # an apostrophe ended a text that was in quotes
    inner = text.replace("'", "''")
    return f": {found['key']}: '{inner}'"


def _quote_the_line(problem: _Problem, parser_message: str) -> Explained:
    suggestion = quoted(problem.line)
    return Explained(problem.at, f"{parser_message}; quote the line{suggestion or f': {QUOTE_HINT}'}")


def _after_the_end(problem: _Problem) -> Explained:
    here = problem.line[problem.at.column - 1 : problem.at.column]
    if here in ("]", "}"):
        return Explained(problem.at, f"the bracket `{here}` closes nothing")
    begins_the_line = not problem.line[: problem.at.column - 1].strip()
    if begins_the_line and (explained := _out_of_line(problem)):
        return explained
    return _quote_the_line(problem, "the line goes on after its text has ended")


def _without_colon(problem: _Problem) -> Explained | None:
    """The parser reads on for a colon, so the line it began with is the wrong one."""
    if spaceless := _no_space_after_colon(problem.first_line, problem.began.line):
        return spaceless
    if found := NO_COLON.match(problem.first_line):
        message = f"a colon is missing after `{found['key']}`: write `{found['key']}:{found['rest'] or ''}`"
        return Explained(problem.began, message)
    return None


def _no_space_after_colon(line: str, number: int) -> Explained | None:
    found = NO_SPACE_AFTER_COLON.match(line)
    return (
        Explained(Mark(number, found.end() + 1), f"a space is missing after `{found['key']}:`")
        if found
        else None
    )


def _unclosed(problem: _Problem) -> Explained:
    opening, closing = OPENING["sequence" if "sequence" in problem.context else "mapping"]
    if problem.began.line < problem.at.line:
        return Explained(problem.began, f"the bracket `{opening}` is never closed: `{closing}` is missing")
    return _quote_the_line(problem, f"`,` or `{closing}` is missing here, or quotes around a text")


def _unexpected_colon(problem: _Problem) -> Explained:
    above = next(
        (number for number in range(problem.at.line - 1, 0, -1) if problem.lines[number - 1].strip()), 0
    )
    first = KEY.match(problem.line)
    if first and first.end() == problem.at.column and above:
        before = problem.lines[above - 1]
        if dash := NO_SPACE_AFTER_DASH.match(before):
            return Explained(Mark(above, dash.start("dash") + 1), "a space is missing after `-`")
        if explained := _no_space_after_colon(before, above) or _out_of_line(problem):
            return explained
    return _quote_the_line(problem, "a colon stands within a text")


def _out_of_line(problem: _Problem) -> Explained | None:
    """A line that starts in another column than the keys above it."""
    own = KEY.match(problem.line)
    column = len(own["before"]) if own else len(problem.line) - len(problem.line.lstrip(" "))
    above = [KEY.match(line) for line in problem.lines[: problem.at.line - 1]]
    columns = [len(found["before"]) for found in above if found][-6:]
    if not columns or column in columns:
        return None
    more = min(reversed(columns), key=lambda other: abs(other - column)) - column
    what = f"`{own['key']}`" if own else "this line"
    move = f"{abs(more)} {'space' if abs(more) == 1 else 'spaces'} {'more' if more > 0 else 'fewer'}"
    return Explained(problem.at, f"{what} does not line up with the keys above it: indent it by {move}")


def _bad_start(problem: _Problem) -> Explained:
    found = LINE.match(problem.line)
    at = Mark(problem.at.line, found.start("text") + 1) if found else problem.at
    sign = problem.line[at.column - 1 : at.column]
    return Explained(at, f"a text can't start with `{sign}`: quote the line{quoted(problem.line)}")


def _escape(problem: _Problem) -> Explained:
    return Explained(problem.at, ESCAPE)


# By the beginning of libyaml's message.
EXPLAINED: dict[str, Callable[[_Problem], Explained | None]] = {
    "could not find expected ':'": _without_colon,
    "did not find expected ','": _unclosed,
    "did not find expected key": _after_the_end,
    "did not find expected '-' indicator": _out_of_line,
    "did not find expected alphabetic": _bad_start,
    "found character that cannot start": _bad_start,
    "found unknown escape character": _escape,
    "mapping values are not allowed": _unexpected_colon,
}
