"""Explain the compiler's problems with conditions to authors of rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from service.rules import cel
from service.rules.format.findings import Code
from service.rules.lint.functions import unknown_function
from service.rules.lint.names import CODE_FACTS, NEVER_NULL, NO_CODE, Hint, unknown_fact, unknown_value
from service.rules.lint.slips import chained, slips
from service.rules.tokens import COMPARISONS, Chain, Token, chains, facts_among, tokenize

UNDECLARED = re.compile(r"undeclared reference to '(.*?)' \(in container")
OVERLOAD = re.compile(r"found no matching overload for '(.*?)' applied to '(.*)'", re.DOTALL)
UNEXPECTED = re.compile(r"(?:mismatched|extraneous) input '(.*?)' expecting", re.DOTALL)
ARITHMETIC = ("+", "-", "*", "/", "%")
BRACKETS = {"(": ")", "[": "]", "{": "}"}
CLOSING = frozenset(BRACKETS.values())
QUOTE_MARKS = ("'", '"')


def explain(source: str, problems: Sequence[cel.Problem], types: Mapping[str, object]) -> Iterator[Hint]:
    """Yield a hint for each problem at its place. Of a syntax error only the first counts, the rest are its echoes."""
    tokens = tokenize(source)
    found = slips(source, tokens, types)
    echoes = [problem for problem in problems if problem.message.startswith("Syntax error")]
    if echoes:
        yield from found or [_unbalanced(tokens) or _syntax(echoes[0])]
        return
    if range_ := chained(source, tokens):
        found.append(range_)
    yield from found
    explained = {hint.offset for hint in found}
    for problem in problems:
        for hint in _explained(problem, tokens, types):
            if hint.offset not in explained:
                explained.add(hint.offset)
                yield hint


def _explained(problem: cel.Problem, tokens: Sequence[Token], types: Mapping[str, object]) -> Iterator[Hint]:
    if undeclared := UNDECLARED.match(problem.message):
        yield from _unknown_name(tokens, problem.offset, undeclared[1], types)
    elif overload := OVERLOAD.match(problem.message):
        yield _wrong_types(tokens, problem.offset, overload[1], overload[2], types)
    elif "operand of a select operation" in problem.message:
        yield Hint(Code.CONDITION_SYNTAX, problem.offset, _no_member(tokens, problem.offset))
    else:
        yield Hint(Code.CONDITION_SYNTAX, problem.offset, f"can't be read: {problem.message}")


def _no_member(tokens: Sequence[Token], offset: int) -> str:
    member = next((token.text for token in tokens if token.start > offset and token.kind == "name"), "")
    if member.lower() in ("length", "len", "size", "count"):
        return f"`.{member}` is not CEL: write `.size()`"
    return f"can't be read: a fact has no part `.{member}`"


def _unbalanced(tokens: Sequence[Token]) -> Hint | None:
    """Return a hint for a bracket that is never closed, or that closes nothing."""
    opened: list[Token] = []
    for token in tokens:
        if token.kind != "operator":
            continue
        if token.text in BRACKETS:
            opened.append(token)
        elif token.text in CLOSING and (not opened or BRACKETS[opened.pop().text] != token.text):
            return Hint(Code.CONDITION_SYNTAX, token.start, f"the bracket `{token.text}` closes nothing")
    if not opened:
        return None
    missing = BRACKETS[opened[-1].text]
    message = f"the bracket `{opened[-1].text}` is never closed: `{missing}` is missing"
    return Hint(Code.CONDITION_SYNTAX, opened[-1].start, message)


def _syntax(problem: cel.Problem) -> Hint:
    explanation = problem.message.removeprefix("Syntax error: ")
    unexpected = UNEXPECTED.match(explanation)
    if explanation.startswith("token recognition error"):
        rest = explanation.partition("at: '")[2].removesuffix("'")
        explanation = (
            "a quote is never closed" if rest[:1] in QUOTE_MARKS else f"CEL has no character `{rest[:1]}`"
        )
    elif unexpected and unexpected[1] == "<EOF>":
        explanation = "it ends too early, a value is missing"
    elif unexpected:
        explanation = (
            f"`{unexpected[1]}` can't stand here; is an operator (`&&`, `==`) or a quote missing before it?"
        )
    else:
        explanation = (
            explanation.partition(" expecting {")[0].replace("'<EOF>'", "the end").replace("<EOF>", "the end")
        )
    return Hint(Code.CONDITION_SYNTAX, problem.offset, f"not a CEL condition: {explanation}")


def _unknown_name(
    tokens: Sequence[Token], offset: int, name: str, types: Mapping[str, object]
) -> Iterator[Hint]:
    chain = _chain_at(tokens, offset, name)
    start = chain.start if chain else offset
    name = name.lstrip(".")
    if chain and chain.called and name == chain.names[-1].text:
        yield Hint(Code.UNKNOWN_NAME, chain.names[-1].start, unknown_function(name))
        return
    compared = _compared(tokens, start, types)
    if (hyphenated := _hyphenated(tokens, start, types)) and chain:
        if hyphenated.startswith(name):
            message = f"`{hyphenated}` is a subtraction: names have `_` in place of `-`, also under `fields`"
            yield Hint(Code.UNKNOWN_NAME, start, message)
        return
    yield Hint(Code.UNKNOWN_NAME, start, unknown_value(name, compared, types) or unknown_fact(name, types))


def _hyphenated(tokens: Sequence[Token], start: int, types: Mapping[str, object]) -> str | None:
    """Return ``survey.attention-failed``, whole, for the place of either half, if neither is a fact."""
    for one, two in pairwise(chains(tokens)):
        joined = two.start == one.end + 1 and any(
            token.start == one.end and token.text == "-" for token in tokens
        )
        if joined and start in (one.start, two.start) and not {one.dotted, two.dotted} & types.keys():
            return f"{one.dotted}-{two.dotted}"
    return None


def _compared(tokens: Sequence[Token], start: int, types: Mapping[str, object]) -> str | None:
    """Return the fact on the other side of the comparison that a name stands in."""
    at = next((index for index, token in enumerate(tokens) if token.start == start), 0)
    if at > 1 and tokens[at - 1].text in COMPARISONS:
        return next(iter(facts_among(tokens[:at], types)[::-1]), None)
    if at + 1 < len(tokens) and tokens[at + 1].text in COMPARISONS:
        return next(iter(facts_among(tokens[at + 2 :], types)), None)
    return None


def _chain_at(tokens: Sequence[Token], offset: int, name: str) -> Chain | None:
    """Find where a name begins: the engine points at a name's last dot, or behind a function's name."""
    wanted = name.lstrip(".")
    for chain in chains(tokens):
        names = (chain.dotted, chain.names[-1].text)
        fits = wanted in names or chain.dotted.startswith(f"{wanted}.")
        if fits and chain.start <= offset <= chain.end:
            return chain
    return None


def _wrong_types(
    tokens: Sequence[Token], offset: int, function: str, applied: str, types: Mapping[str, object]
) -> Hint:
    operator = {"_?_:_": "? :", "_[_]": "[ ]"}.get(function) or function.strip("_@")
    operands = (applied[1:-1] if applied.startswith("(") else applied).replace("google.protobuf.", "")
    explanation = f"`{operator}` can't be applied to {operands.replace(', ', ' and ')}"
    fact = _fact_beside(tokens, offset, types)
    hint = _number_hint(tokens, offset, operands) or _type_hint(operands, fact)
    return Hint(Code.CONDITION_TYPE, offset, f"{explanation}{hint}")


TYPE_HINTS = {
    frozenset({"Timestamp", "string"}): ': write timestamp("2026-01-31T09:00:00Z")',
    frozenset({"Timestamp", "int"}): ': write timestamp("2026-01-31T09:00:00Z")',
    frozenset({"Duration", "int"}): ': write duration("90m"), "24h" or "30s"',
    frozenset({"Duration", "double"}): ': write duration("90m"), "24h" or "30s"',
    frozenset({"Duration", "string"}): ': write duration("90m"), "24h" or "30s"',
    frozenset({"bool", "string"}): ": true and false stand without quotes",
    frozenset({"bool", "int"}): ": write true or false",
    frozenset({"int", "string"}): ": a number stands without quotes, a text with them",
    frozenset({"double", "string"}): ": a number stands without quotes, a text with them",
    frozenset({"double", "list(int)"}): ": write the numbers with a point, 1.0",
}


def _fact_beside(tokens: Sequence[Token], offset: int, types: Mapping[str, object]) -> str | None:
    """Return the fact that stands directly before an operator."""
    before = [token for token in tokens if token.end <= offset]
    return next(iter(facts_among(before, types)[::-1]), None)


def _type_hint(operands: str, fact: str | None) -> str:
    if "null_type" in operands:
        return f": {NO_CODE if fact in CODE_FACTS else NEVER_NULL}"
    return TYPE_HINTS.get(frozenset(operands.split(", ")), "")


def _number_hint(tokens: Sequence[Token], offset: int, operands: str) -> str:
    at = next((index for index, token in enumerate(tokens) if token.start == offset), None)
    if at is None or operands not in ("double, int", "int, double"):
        return ""
    number = _lone_number(tokens, at)
    if number is None:
        return ": write double(…) around the whole number, 60.0 for 60"
    if number.text.isdigit():
        return f": write {number.text}.0"
    if tokens[at].text in ARITHMETIC:
        return ": write double(…) around the whole number"
    return f": write {number.text[:-2]}" if number.text.endswith(".0") else ": the fact is a whole number"


def _lone_number(tokens: Sequence[Token], at: int) -> Token | None:
    """Return the operand of the operator that is a number, and not part of a calculation."""
    for near, beyond in ((at + 1, at + 2), (at + 2, at + 3), (at - 1, at - 2)):
        if not 0 <= near < len(tokens) or tokens[near].kind != "number":
            continue
        if near == at + 2 and tokens[at + 1].text != "-":
            continue
        part = 0 <= beyond < len(tokens) and tokens[beyond].text in ARITHMETIC
        return None if part and tokens[at].text not in ARITHMETIC else tokens[near]
    return None
