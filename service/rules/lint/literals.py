"""Find calls in conditions that compile but can't work: ``has()``, ``dyn()``, and invalid literals."""

from collections.abc import Iterator, Sequence

from service.rules import cel
from service.rules.format.findings import Code
from service.rules.lint.functions import FUNCTIONS
from service.rules.lint.names import Hint
from service.rules.tokens import Token, chains, tokenize

PROBES = {  # how to try a literal argument that can only fail later
    "duration": "duration({0}) == duration({0})",
    "timestamp": "timestamp({0}) == timestamp({0})",
    "matches": "''.matches({})",
} | {
    name: f"timestamp('2026-01-01T00:00:00Z').{name}({{}}) >= 0"
    for name in FUNCTIONS
    if name.startswith("get")
}


def refused(source: str) -> Iterator[Hint]:
    """Refuse has() and dyn(): they compile, but has() is always true here, and dyn() switches type checks off."""
    if "has" not in source and "dyn" not in source:
        return
    for chain in chains(tokenize(source)):
        if not chain.called or len(chain.names) > 1 or chain.member:
            continue
        if chain.dotted == "has":
            message = (
                "has() is not used: write evidence.<source>.received to ask whether a source has answered"
            )
            yield Hint(Code.REFUSED_FUNCTION, chain.start, message)
        elif chain.dotted == "dyn":
            yield Hint(Code.REFUSED_FUNCTION, chain.start, "dyn() is not used: every fact has its type")


def bad_literals(source: str, environment: cel.Environment) -> Iterator[Hint]:
    """Try literal arguments when the file is loaded, not when the first submission comes."""
    if not any(name in source for name in PROBES):
        return
    tokens = tokenize(source)
    for index, token in enumerate(tokens):
        argument = literal_argument(tokens, index) if token.text in PROBES else None
        if argument is None:
            continue
        try:
            outcome = environment.compile(PROBES[token.text].format(argument.text)).evaluate(
                environment.nothing
            )
        except cel.NotCompiled:
            continue  # wrong types: the compiler reports them for the condition itself
        if isinstance(outcome, cel.Undecided) and outcome.why:
            message = f"{token.text}({argument.text}): {_literal(outcome.why)}"
            yield Hint(Code.BAD_LITERAL, argument.start, message)


def literal_argument(tokens: Sequence[Token], index: int) -> Token | None:
    """Return the literal before the bracket that closes a call: of ``f("x")`` and ``matches(text, "x")``."""
    if index + 2 >= len(tokens) or tokens[index + 1].text != "(":
        return None
    depth = 0
    for place in range(index + 1, len(tokens)):
        token = tokens[place]
        if token.kind != "operator":
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            last, before = tokens[place - 1], tokens[place - 2]
            return last if last.kind in ("string", "number") and before.text in ("(", ",") else None
    return None


def _literal(why: str) -> str:
    if "Duration" in why:
        return 'is no duration; write it like "90m", "24h" or "30s" (no days)'
    if "Timestamp" in why:
        return 'is no time; write it like "2026-01-31T09:00:00Z"'
    return why
