"""Limits of ``matches()`` in conditions: the cost of its pattern and its text.

The engine's RE2 needs at most (instructions of the pattern) x (bytes of the text) steps of some 4 ns, and compiles
the pattern at each evaluation. It holds the interpreter's lock meanwhile, so neither a thread nor a timeout helps:
both factors are bounded instead, the text by ``facts.LONGEST_TEXT``, the pattern here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from service.rules import cel
from service.rules.format.findings import Code
from service.rules.lint.literals import literal_argument
from service.rules.lint.names import Hint
from service.rules.rule import Condition, Quantifier, When
from service.rules.tokens import Chain, Token, chains, tokenize

# Instructions of a pattern: its compilation takes up to 6 ms.
LARGEST = 2000
MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
PIECE = re.compile(
    r"""(?P<repeat>\{(?P<least>\d+)(?:,(?P<most>\d*))?\})
    |(?P<unicode>\\[pP](?:\{\^?\w+\}|\w))
    |(?P<open>\((?:\?[^():]*[:)>])?)|(?P<close>\))
    |(?P<wide>\.|\[\^\]?(?:\\.|[^\]\\])*\]|\\[DWS])
    |(?P<class>\[\]?(?:\\.|[^\]\\])*\])
    |(?P<quantifier>[*+?])
    |(?P<other>\\.|.)""",
    re.VERBOSE | re.DOTALL,
)
SIZES = {"unicode": 500, "wide": 10, "class": 4, "quantifier": 1, "other": 1}  # instructions, about


@dataclass(slots=True)
class _Size:
    """The count so far, of each open group and of the last piece, which a repetition multiplies."""

    groups: list[int] = field(default_factory=lambda: [0])
    last: int = 0

    def add(self, size: int) -> None:
        self.groups[-1] += size
        self.last = size

    def repeat(self, times: int) -> None:
        self.groups[-1] += self.last * (times - 1)
        self.last *= times


def size(pattern: str) -> int:
    """Estimate the number of RE2's instructions for a pattern: RE2 expands counted repetitions."""
    found = _Size()
    for piece in PIECE.finditer(pattern):
        match piece.lastgroup:
            case "repeat":
                found.repeat(max(int(piece["least"]), int(piece["most"] or 0), 1))
            case "open":
                found.groups.append(2)
            case "close" if len(found.groups) > 1:
                found.add(found.groups.pop())
            case kind:
                found.add(SIZES.get(kind or "", 1))
    return sum(found.groups)


def refused(source: str, environment: cel.Environment) -> Iterator[Hint]:
    """Return the problems of patterns: no literal, too expensive, or repeated by a macro."""
    if "matches" not in source:
        return
    tokens = tokenize(source)
    for index, token in enumerate(tokens):
        if (
            token.text != "matches"
            or token.kind != "name"
            or [after.text for after in tokens[index + 1 : index + 2]] != ["("]
        ):
            continue
        literal = literal_argument(tokens, index)
        if _within_macro(tokens[:index]):
            message = (
                "matches() can't be used inside exists() and the like: write a condition for each, under any"
            )
            yield Hint(Code.COSTLY_PATTERN, token.start, message)
        elif literal is None:
            message = 'the pattern of matches() must be a text in quotes, such as matches("^[0-9]+$")'
            yield Hint(Code.COSTLY_PATTERN, token.start, message)
        elif (counted := size(environment.text(literal.text))) > LARGEST:
            message = f"the pattern takes too long (about {counted:,} steps, {LARGEST:,} at most): use size(), or repeat less often"
            yield Hint(Code.COSTLY_PATTERN, literal.start, message)


def _within_macro(before: Sequence[Token]) -> bool:
    """Return True if an open bracket belongs to a macro."""
    opened: list[bool] = []
    for place, token in enumerate(before):
        if token.text == "(" and token.kind == "operator":
            opened.append(place > 0 and before[place - 1].text in MACROS)
        elif token.text == ")" and token.kind == "operator" and opened:
            opened.pop()
    return any(opened)


def unbounded(when: When) -> Iterator[tuple[int, int, str]]:
    """Yield each ``matches()`` over a field of evidence whose length no condition before it limits.

    Each is the number of the condition, the offset in it, and the field.
    """
    earlier = ""
    for number, condition in enumerate(when.conditions):
        named = chains(tokenize(condition.source))
        for index, chain in enumerate(named):
            if not chain.called or chain.names[-1].text != "matches":
                continue
            fact = _text_read(chain, named[index + 1 : index + 2], condition)
            if fact and not _is_limited(fact, earlier + condition.source[: chain.start]):
                yield number, chain.names[-1].start, fact
        # Only a condition under `all` that is false keeps the later ones from being evaluated.
        earlier += condition.source if when.quantifier is Quantifier.ALL else ""


def _text_read(call: Chain, following: Sequence[Chain], condition: Condition) -> str | None:
    """Return the field that ``field.matches(…)`` or ``matches(field, …)`` reads."""
    name = (
        call.dotted.removesuffix(".matches")
        if len(call.names) > 1
        else "".join(it.dotted for it in following)
    )
    return name if name.startswith("evidence.") and name in condition.facts else None


def _is_limited(name: str, source: str) -> bool:
    fact = re.escape(name)
    return re.search(rf"(?:\bsize\(\s*{fact}\s*\)|{fact}\.size\(\))\s*<=?\s*\d", source) is not None
