"""Unknown names in rule files: which name was probably meant."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from service.rules.facts import FieldType
from service.rules.format.findings import Code

TRUE = frozenset({"yes", "y", "on", "true", "wahr", "oui", "si", "ja"})
FALSE = frozenset({"no", "n", "off", "false", "falsch", "non", "nein"})
NULLS = frozenset({"none", "null", "nil", "undefined", "na", "nan", "missing", "empty"})
CODE_FACTS = frozenset({"submission.entered_code", "submission.code_type"})
NEVER_NULL = "a fact is never null, evidence.<source>.received says whether a source has answered"
NO_CODE = 'for a missing code write submission.code_type == "NONE"'


class Hint(NamedTuple):
    """A message about a place in a condition; ``offset`` counts characters from 0."""

    code: Code
    offset: int
    message: str


def did_you_mean(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, [name for name in known if name != word], n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def unknown_fact(name: str, types: Iterable[str]) -> str:
    """Look for the nearest name within the group that the name begins with, else among all."""
    known = list(types)
    group, _, field = name.rpartition(".")
    fields = {fact.removeprefix(f"{group}."): fact for fact in known if fact.startswith(f"{group}.")}
    if group and fields:
        near = get_close_matches(field, list(fields), n=1)
        hint = f"did you mean `{fields[near[0]]}`?" if near else f"{group} has {', '.join(fields)}"
        return f"no fact is called {name}; {hint}"
    if name.startswith("evidence."):
        return f"{name}: no source {name.split('.')[1]} is declared under evidence{did_you_mean(name, known)}"
    last = next((fact for fact in known if fact.endswith(f".{name}")), None)
    meant = f"; did you mean `{last}`?" if last else did_you_mean(name, known)
    return f"no fact is called {name}" + (meant or f'; a text goes in quotes: "{name}"')


def unknown_value(name: str, compared: str | None, types: Mapping[str, object]) -> str | None:
    """Return the message for ``yes``, ``None`` and the like, which are no facts; None for other names.

    ``compared`` is the fact that the condition compares the name with.
    """
    word = name.lower()
    if types.get(compared or "") is FieldType.STRING and name not in ("None", "NULL", "nil"):
        return None
    if word in TRUE | FALSE:
        return f"no fact is called {name}; write `{'true' if word in TRUE else 'false'}`"
    if word in NULLS and compared:
        return f"no fact is called {name}: {NO_CODE if compared in CODE_FACTS else NEVER_NULL}"
    return None
