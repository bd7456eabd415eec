"""Slips: spellings of other languages, spreadsheets and text processors in CEL conditions."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from service.rules.catalogue import CATALOGUE
from service.rules.facts import FieldType
from service.rules.format.findings import Code
from service.rules.lint.functions import INFIX
from service.rules.lint.names import Hint
from service.rules.lint.spellings import CAPITALS, FACT_UNITS, OPERATORS, QUOTES, SIGNS, UNITS, WORDS
from service.rules.tokens import COMPARISONS, Token, chains

BOUNDS = frozenset({"&&", "||", "?", ":", ","})
ENDS = BOUNDS | COMPARISONS | {")", "]", "}"}


class Slip(NamedTuple):
    """A slip: ``original`` is in the condition, ``instead`` what to write, ``note`` a message where that is not enough."""

    original: str
    instead: str = ""
    note: str = ""

    @property
    def message(self) -> str:
        return self.note or f"`{self.original}` is not CEL: write `{self.instead}`"


def slips(source: str, tokens: Sequence[Token], types: Mapping[str, object]) -> list[Hint]:
    """Return a hint for each slip. They make sense only in a condition that does not compile."""
    reader = _Slips(source, tokens, types)
    return [Hint(Code.CONDITION_SYNTAX, tokens[index].start, slip.message) for index, slip in reader.found()]


def chained(source: str, tokens: Sequence[Token]) -> Hint | None:
    """Return a hint for ``2 < x < 5``: a comparison of a comparison."""
    starts, ends = 0, len(tokens)
    places: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind != "operator":
            continue
        if token.text in BOUNDS or token.text in "()[]{}":
            if len(places) > 1:
                ends = index
                break
            starts, places = index + 1, []
        elif token.text in COMPARISONS:
            places.append(index)
    if len(places) < 2:
        return None
    first, second = places[:2]
    left = source[tokens[starts].start : tokens[second].start].rstrip()
    right = source[tokens[first].end : tokens[ends - 1].end].strip()
    message = f"a comparison takes two values: write `{left} && {right}`"
    return Hint(Code.CONDITION_TYPE, tokens[second].start, message)


@dataclass(frozen=True, slots=True)
class _Slips:
    source: str
    tokens: Sequence[Token]
    types: Mapping[str, object]

    def found(self) -> Iterator[tuple[int, Slip]]:
        depth, done, seen = 0, -1, set[str]()
        for index, token in enumerate(self.tokens):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
            after_dot = index > 0 and self.tokens[index - 1].text == "."
            if token.start < done or after_dot or token.kind == "string":
                continue
            slip = self._at(index, depth)
            if slip and slip.note not in seen:
                done = token.start + len(slip.original)
                seen |= {slip.note} - {""}
                yield index, slip

    def _at(self, index: int, depth: int) -> Slip | None:
        match self.tokens[index].kind:
            case "operator":
                return self._quote(index) or self._operator(index) or self._sign(index)
            case "number":
                return self._percent(index) or self._unit(index) or self._comma(index, depth)
            case _:
                return self._word(index)

    def _text(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def _span(self, first: int, last: int) -> str:
        return self.source[self.tokens[first].start : self.tokens[last].end]

    def _quote(self, index: int) -> Slip | None:
        """Find typographic quotes, such as ``“NONE”``, in pairs or alone."""
        opening = self._text(index)
        if opening not in QUOTES:
            return None
        for closing in range(index + 1, len(self.tokens)):
            if self._text(closing) in QUOTES or self._text(closing) == '"':
                original = self._span(index, closing)
                inner = original[1:-1].replace('"', "")
                return Slip(original, note=f'`{original}` has typographic quotes: write `"{inner}"`')
            if self._text(closing) in BOUNDS | COMPARISONS:
                break
        return Slip(opening, note=f'`{opening}` is a typographic quote: write `"`')

    def _operator(self, index: int) -> Slip | None:
        joined = self._text(index)
        wrong = joined if joined in OPERATORS else ""
        for after in range(index + 1, min(index + 3, len(self.tokens))):
            if self.tokens[after - 1].end != self.tokens[after].start:
                break
            joined += self._text(after)
            wrong = joined if joined in OPERATORS else wrong
        return Slip(wrong, OPERATORS[wrong]) if wrong else None

    def _sign(self, index: int) -> Slip | None:
        sign = self._text(index)
        if sign == ";":
            return Slip(sign, note="`;` is not CEL: a condition has no end mark, take it out")
        if sign.isascii():
            return None
        if sign.isspace() or unicodedata.category(sign) in ("Cf", "Zs"):
            name = unicodedata.name(sign, f"U+{ord(sign):04X}").lower()
            return Slip(sign, note=f"an invisible character stands here ({name}): write an ordinary space")
        plain = SIGNS.get(sign) or unicodedata.normalize("NFKC", sign)
        plain = OPERATORS.get(plain, plain)
        if not plain.isascii():
            return Slip(sign, note=f"CEL has no character `{sign}`: a text goes in quotes")
        return Slip(sign, plain)

    def _percent(self, index: int) -> Slip | None:
        after = self._text(index + 2)
        if self._text(index + 1) != "%" or (after and after not in ENDS):
            return None  # a remainder, `n % 2`
        number = self._text(index)
        share = f"{float(number) / 100:.10g}"
        share = share if "." in share or "e" in share else f"{share}.0"
        original = self._span(index, index + 1)
        return Slip(
            original,
            note=f"`{original}` is not CEL: write `{share}`, or `{number}` where the fact is in percent",
        )

    def _unit(self, index: int) -> Slip | None:
        """Find ``60s`` and ``5 minutes``. Suggest a number if the fact is one, else a duration."""
        unit, number = self._text(index + 1), self._text(index)
        if unit.lower() not in UNITS or index + 1 >= len(self.tokens):
            return None
        original, seconds = self._span(index, index + 1), float(number) * UNITS[unit.lower()]
        fact = self._compared(index)
        kind = self.types.get(fact or "")
        if kind in (FieldType.INT, FieldType.DOUBLE):
            known = CATALOGUE.get(fact or "")
            value = seconds / FACT_UNITS.get(known.unit if known else "", UNITS[unit.lower()])
            return Slip(original, f"{value:.10g}" if kind is FieldType.INT else repr(value))
        whole = UNITS[unit.lower()]
        if whole == 86400:
            return Slip(original, f'duration("{seconds / 3600:.10g}h")')
        return Slip(original, f'duration("{number}{ {1: "s", 60: "m", 3600: "h"}[whole] }")')

    def _comma(self, index: int, depth: int) -> Slip | None:
        ahead = self.tokens[index : index + 3]
        adjacent = len(ahead) == 3 and all(one.end == two.start for one, two in pairwise(ahead))
        if depth or not adjacent or ahead[1].text != "," or ahead[2].kind != "number":
            return None
        original, decimal = self._span(index, index + 2), f"{ahead[0].text}.{ahead[2].text}"
        if len(ahead[2].text) == 3:
            return Slip(
                original,
                note=f"`{original}` is not CEL: write `{ahead[0].text}{ahead[2].text}`, or `{decimal}`",
            )
        return Slip(original, decimal)

    def _word(self, index: int) -> Slip | None:
        word, following = self._text(index), self._text(index + 1).lower()
        lower = word.lower()
        if word in CAPITALS:
            return Slip(word, CAPITALS[word])
        if lower == "is" and following == "not":
            return Slip(self._span(index, index + 1), "!=")
        if lower == "not" and following == "in":
            return Slip(
                self._span(index, index + 1),
                note=f"`{word} in` is not CEL: write `!(… in […])`",
            )
        if word == "in" and self.tokens[index + 1 : index + 2] and self.tokens[index + 1].kind == "string":
            return Slip(
                word,
                note=f"a list stands in brackets: write `in [{self._span(index + 1, len(self.tokens) - 1)}]`",
            )
        if lower in ("if", "then", "else", "when", "where"):
            return Slip(
                word,
                note="a condition has no `if`, `then` or `else`: write only what must be true, joined by `&&` or `||`",
            )
        return self._between(index) or self._infix(index) or self._plain_word(index)

    def _plain_word(self, index: int) -> Slip | None:
        word = self._text(index)
        if word.lower() not in WORDS or (self._text(index + 1) == "(" and word.lower() != "not"):
            return None
        return Slip(word, WORDS[word.lower()])

    def _between(self, index: int) -> Slip | None:
        """Find ``x between 1 and 2``."""
        if self._text(index).lower() != "between" or self._text(index + 2).lower() != "and":
            return None
        fact, low, high = self._before(index), self._text(index + 1), self._text(index + 3)
        original = self._span(index, min(index + 3, len(self.tokens) - 1))
        return Slip(original, note=f"`between` is not CEL: write `{fact} >= {low} && {fact} <= {high}`")

    def _infix(self, index: int) -> Slip | None:
        """Find ``note contains "x"``: a function in the place of an operator."""
        word = self._text(index)
        if word.lower() not in INFIX or self._text(index + 1) == "(" or index + 1 >= len(self.tokens):
            return None
        call = f"{self._before(index)}.{INFIX[word.lower()]}({self._text(index + 1)})"
        return Slip(word, note=f"`{word}` is a function: write `{call}`")

    def _before(self, index: int) -> str:
        """Return the name that ends before a token."""
        end = self.tokens[index - 1].end if index else 0
        return next((chain.dotted for chain in chains(self.tokens) if chain.end == end), "…")

    def _compared(self, index: int) -> str | None:
        """Return the fact that is compared with the value at a token."""
        if self._text(index - 1) not in COMPARISONS or index < 2:
            return None
        return self._before(index - 1)
