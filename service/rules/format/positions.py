"""Positions in the file of characters in a scalar's value."""

import re

from service.rules.format.document import Scalar
from service.rules.format.findings import Mark
from service.rules.format.yaml_errors import BREAK

FOLD = re.compile("[ \t]*(?:(?:\r\n|[\r\n\x85\u2028\u2029])[ \t]*)+")
ESCAPED_BREAK = re.compile("\\\\(?:\r\n|[\r\n\x85\u2028\u2029])[ \t]*")
PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}


def place(scalar: Scalar, offset: int) -> Mark:
    """Return the position in the file of the value's character at ``offset``, its end for a larger offset."""
    source = scalar.source
    indexes = _block(scalar) if scalar.style in ("|", ">") else _flow(scalar)
    index = indexes[min(max(offset, 0), len(indexes) - 1)]
    line, line_start = scalar.start.line, 0
    for found in BREAK.finditer(source, 0, index):
        line, line_start = line + 1, found.end()
    shift = scalar.start.column if line == scalar.start.line else 1
    return Mark(line, index - line_start + shift)


def _flow(scalar: Scalar) -> list[int]:
    """Return the index in the source of each character of a plain or quoted value, and of its end."""
    source = scalar.source
    start = _content_start(source)
    quote = source[start] if scalar.style in ("'", '"') else ""
    index = start + len(quote)
    end = len(source) - len(quote)
    indexes: list[int] = []
    while index < end and len(indexes) < len(scalar.value):
        emitted, length = _step(source, index, quote)
        indexes += [index] * emitted
        index += length
    return [*indexes, index]


def _step(source: str, index: int, quote: str) -> tuple[int, int]:
    """Return how many characters of the value the next part of the source makes, and the length of that part."""
    if fold := FOLD.match(source, index):
        breaks = len(BREAK.findall(fold.group()))
        return max(1, breaks - 1), len(fold.group())
    if quote == "'" and source.startswith("''", index):
        return 1, 2
    if quote == '"' and source[index] == "\\":
        if escaped := ESCAPED_BREAK.match(source, index):
            return 0, len(escaped.group())
        return 1, 2 + ESCAPE_DIGITS.get(source[index + 1], 0)
    return 1, 1


def _block(scalar: Scalar) -> list[int]:
    """Return the indices for ``|`` and ``>``: each line's text is searched in the value, one after the other."""
    source, value = scalar.source, scalar.value
    indexes = [_content_start(source)] * (len(value) + 1)
    done, line_start = 0, 0
    for number, line in enumerate(BREAK.split(source)):
        text = line.strip(" \t")
        found = value.find(text, done) if number and text else -1
        if found >= 0:
            first = line_start + line.index(text)
            indexes[done:found] = [indexes[done]] * (found - done)
            done = found + len(text)
            indexes[found : done + 1] = range(first, first + len(text) + 1)
        after = BREAK.match(source, line_start + len(line))
        line_start = after.end() if after else line_start
    indexes[done:] = [indexes[done]] * (len(value) + 1 - done)
    return indexes


def _content_start(source: str) -> int:
    properties = PROPERTIES.match(source)
    return properties.end() if properties else 0
