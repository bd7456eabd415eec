"""The claims of a condition: alternatives, each a list of ``fact operator value``."""

from collections.abc import Container, Sequence
from itertools import chain, product
from typing import NamedTuple

from service.rules.rule import Quantifier, When
from service.rules.tokens import Token, chains, facts_among, number_of, tokenize

MOST_ALTERNATIVES = 200  # beyond these a condition is taken as one, which finds no less
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in"}
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")

Value = bool | float | str | tuple[str, ...]
Tokens = Sequence[Token]


class Claim(NamedTuple):
    """One comparison. ``fact`` is set if exactly one is compared, ``value`` if it is compared with a literal.

    ``facts`` are all that it reads, those on the operator's left first; ``texts`` the literal texts in it.
    """

    facts: tuple[str, ...]
    fact: str | None
    operator: str | None
    value: Value | None
    texts: tuple[str, ...]
    numbers: tuple[float, ...]
    condition: int
    offset: int

    def admits(self, number: float) -> bool:
        """Return True if the comparison holds for this number."""
        if not isinstance(self.value, float):
            return False
        return {
            "==": number == self.value,
            "!=": number != self.value,
            "<": number < self.value,
            "<=": number <= self.value,
            ">": number > self.value,
            ">=": number >= self.value,
        }.get(self.operator or "", False)


Alternative = tuple[Claim, ...]


class _Atom(NamedTuple):
    tokens: tuple[Token, ...]
    wanted: bool
    condition: int


def alternatives(when: When, known: Container[str]) -> list[Alternative]:
    """Return the alternatives. Each is enough for the rule to match."""
    wanted = when.quantifier is not Quantifier.NONE
    parts = [
        _alternatives(_Atom(tuple(tokenize(condition.source)), wanted, index))
        for index, condition in enumerate(when.conditions)
    ]
    found = list(chain(*parts)) if when.quantifier is Quantifier.ANY else _product(parts)
    atoms = {id(atom): atom for option in found for atom in option}
    claims = {key: _claim(atom, known) for key, atom in atoms.items()}
    return [tuple(claims[id(atom)] for atom in option) for option in found]


def _alternatives(atom: _Atom) -> list[tuple[_Atom, ...]]:
    atom = atom._replace(tokens=_unwrapped(atom.tokens))
    found = _outside_brackets(atom.tokens)
    if not atom.tokens or "?" in found:
        return [(atom,)]
    for operator in ("||", "&&"):
        if places := found.get(operator):
            bounds = zip([-1, *places], [*places, len(atom.tokens)], strict=True)
            parts = [
                _alternatives(atom._replace(tokens=atom.tokens[start + 1 : end])) for start, end in bounds
            ]
            return list(chain(*parts)) if (operator == "||") is atom.wanted else _product(parts)
    if atom.tokens[0].text == "!" and not any(operator in found for operator in COMPARISONS):
        return _alternatives(atom._replace(tokens=atom.tokens[1:], wanted=not atom.wanted))
    return [(atom,)]


def _product(parts: list[list[tuple[_Atom, ...]]]) -> list[tuple[_Atom, ...]]:
    size = 1
    for part in parts:
        size *= len(part)
        if size > MOST_ALTERNATIVES:
            return [tuple(chain(*chain(*parts)))]
    return [tuple(chain(*option)) for option in product(*parts)]


def _claim(atom: _Atom, known: Container[str]) -> Claim:
    tokens, operator = atom.tokens, None
    left, right = tokens, tokens[:0]
    found = _outside_brackets(tokens)
    places = [found[operator][0] for operator in COMPARISONS if operator in found]
    if places and "?" not in found:
        first = min(places)
        operator, left, right = tokens[first].text, tokens[:first], tokens[first + 1 :]
        if _rank(facts_among(right, known)) > _rank(facts_among(left, known)):
            left, right, operator = right, left, MIRRORED.get(operator, operator)
    facts = tuple(dict.fromkeys((*facts_among(left, known), *facts_among(right, known))))
    fact = facts[0] if len(facts) == 1 and _is_one_fact(left) else None
    value = _value(right)
    if operator is None and fact is not None:
        operator, value = "==", True
    if operator is not None and not atom.wanted:
        operator = OPPOSITE[operator]
    if operator == "!=" and isinstance(value, bool):
        operator, value = "==", not value
    texts = tuple(_text(token.text) for token in tokens if token.kind == "string")
    numbers = tuple(number_of(token.text) for token in tokens if token.kind == "number")
    offset = tokens[0].start if tokens else 0
    return Claim(facts, fact, operator, value, texts, numbers, atom.condition, offset)


def _rank(facts: tuple[str, ...]) -> int:
    """Return the claim with the participant's fact on the left and the study's on the right."""
    return max((2 if fact.startswith(("submission.", "evidence.")) else 1 for fact in facts), default=0)


def _is_one_fact(tokens: Tokens) -> bool:
    """Return True for a name, also with ``double(…)`` or ``int(…)`` around it."""
    tokens = _unwrapped(tokens)
    if len(tokens) > 3 and tokens[0].text in ("double", "int") and tokens[1].text == "(":
        tokens = _unwrapped(tokens[1:])
    found = chains(tokens)
    return len(found) == 1 and not found[0].called and len(tokens) == 2 * len(found[0].names) - 1


def _value(tokens: Tokens) -> Value | None:
    tokens = _unwrapped(tokens)
    if len(tokens) == 2 and tokens[0].text == "-" and tokens[1].kind == "number":
        return -number_of(tokens[1].text)
    if len(tokens) == 1:
        token = tokens[0]
        if token.kind == "number":
            return number_of(token.text)
        if token.kind == "string":
            return _text(token.text)
        return {"true": True, "false": False}.get(token.text)
    if tokens and tokens[0].text == "[":
        return tuple(_text(token.text) for token in tokens if token.kind == "string") or None
    return None


def _text(literal: str) -> str:
    return literal.lstrip("rRbB").strip("\"'")


def _unwrapped(tokens: tuple[Token, ...] | Tokens) -> tuple[Token, ...]:
    """Return the tokens without brackets around all of them."""
    tokens = tuple(tokens)
    while len(tokens) > 1 and tokens[0].text == "(" and _closing(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closing(tokens: Tokens) -> int:
    """Return the index of the bracket that closes the first one."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == "operator":
            depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth == 0:
            return index
    return -1


def _outside_brackets(tokens: Tokens) -> dict[str, list[int]]:
    """Return the indices of operators outside all brackets, ``in`` included."""
    found: dict[str, list[int]] = {}
    depth = 0
    for index, (kind, text, _) in enumerate(tokens):
        if kind != "operator" and text != "in":
            continue
        if text in OPENING:
            depth += 1
        elif text in CLOSING:
            depth -= 1
        elif depth == 0 and kind != "string":
            found.setdefault(text, []).append(index)
    return found
