"""CEL's tokens for messages and policy checks: names with their positions, literals, operators."""

import re
from collections.abc import Container, Sequence
from functools import lru_cache
from typing import NamedTuple

TOKEN = re.compile(
    r"""
    (?P<blank>[\t\n\f\r ]+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
        |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|[0-9]+[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<operator>&&|\|\||==|!=|<=|>=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
WORDS = frozenset({"true", "false", "null", "in"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


class Token(NamedTuple):
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class Chain(NamedTuple):
    """Names joined by dots, ``submission.pace``. ``called`` is True if the last one is a function."""

    names: tuple[Token, ...]
    called: bool
    member: bool
    """True for a member of an expression that is not a name: ``(…).size``."""

    @property
    def dotted(self) -> str:
        return ".".join(name.text for name in self.names)

    @property
    def start(self) -> int:
        return self.names[0].start

    @property
    def end(self) -> int:
        return self.names[-1].end


@lru_cache(maxsize=64)  # one condition is looked at several times while it is read
def tokenize(source: str) -> tuple[Token, ...]:
    """Return the tokens without blanks and comments."""
    return tuple(
        Token(found.lastgroup or "", found.group(), found.start())
        for found in TOKEN.finditer(source)
        if found.lastgroup != "blank"
    )


def number_of(literal: str) -> float:
    """Return the value of a number in a condition, also a hexadecimal or unsigned one."""
    plain = literal.rstrip("uU")
    return float(int(plain, 16) if plain[:2] in ("0x", "0X") else float(plain))


def chains(tokens: Sequence[Token]) -> list[Chain]:
    found: list[Chain] = []
    index = 0
    while index < len(tokens):
        if tokens[index].kind != "name" or tokens[index].text in WORDS:
            index += 1
            continue
        first, names = index, [tokens[index]]
        while _is(tokens, index + 1, ".") and _kind(tokens, index + 2) == "name":
            index += 2
            names.append(tokens[index])
        index += 1
        member = _is(tokens, first - 1, ".") and first >= 2 and _ends_a_value(tokens[first - 2])
        found.append(Chain(tuple(names), _is(tokens, index, "("), member))
    return found


def facts_among(tokens: Sequence[Token], known: Container[str]) -> tuple[str, ...]:
    """Return the known facts that tokens refer to, in order of appearance."""
    named: dict[str, None] = {}
    for chain in chains(tokens):
        if chain.member:
            continue
        parts = chain.dotted.split(".")
        prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        fact = next((prefix for prefix in prefixes if prefix in known), None)
        if fact is not None:
            named[fact] = None
    return tuple(named)


def _is(tokens: Sequence[Token], index: int, text: str) -> bool:
    return 0 <= index < len(tokens) and tokens[index].kind == "operator" and tokens[index].text == text


def _kind(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].kind if index < len(tokens) else ""


def _ends_a_value(token: Token) -> bool:
    return token.kind in ("string", "number", "name") or token.text in (")", "]", "}")
