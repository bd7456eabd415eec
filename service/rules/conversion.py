"""Convert values of survey platforms: texts become values of a field's type, unfilled placeholders are missing."""

import re
from dataclasses import dataclass
from typing import Any

from service.domain.printable import printable
from service.rules.facts import INT_BOUND, FieldType, Plain, typed

NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
WHOLE = re.compile("[-+]?[0-9]{1,19}")
BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
LONGEST_NAME = 60  # characters of a placeholder or a value that a message quotes

# What a platform sends where it had nothing to fill in: Qualtrics' ${e://Field/x}, Prolific's {{%x%}}, and {{x}}.
_QUALTRICS = re.compile(r"\$\{[a-z]{1,4}://[^{}]*\}")
_PROLIFIC = re.compile(r"\{\{ ?%[^{}]*% ?\}\}")
_BRACES = re.compile(r"\{\{[^{}]*\}\}")

WANTED_OF_TEXT = {
    FieldType.INT: "a whole number, such as 2",
    FieldType.DOUBLE: "a number, such as 0.9",
    FieldType.BOOL: "true, false, 1, 0, yes or no",
    FieldType.STRING: "a text without NUL or lone surrogates",
}


@dataclass(frozen=True, slots=True)
class Converted:
    """A value of a field's type, or None for missing. ``problem`` says why it is refused, ``warning`` why it is missing."""

    value: Plain | None = None
    problem: str | None = None
    warning: str | None = None


def convert(kind: FieldType, value: Any) -> Converted:
    """Convert a value to a field's type. Only texts are converted: a JSON number is no text and no bool."""
    if isinstance(value, str):
        if mistake := unfilled(value):
            return Converted(warning=mistake)
        if not value.strip():
            return Converted()
        accepted = typed(kind, _parsed(kind, value))
    else:
        accepted = typed(kind, value)
    if accepted is None and value is not None:
        return Converted(problem=f"{_described(value)} is not {WANTED_OF_TEXT[kind]} ({kind})")
    return Converted(accepted)


def unfilled(text: str) -> str | None:
    """Return what went wrong where a text is a placeholder that a platform never filled in, else None."""
    text = text.strip()
    quoted = shown(text)
    if _QUALTRICS.fullmatch(text):
        name = shown(text.rpartition("/")[2].rstrip("}"))
        return (
            f"Qualtrics never filled in {quoted}: declare {name} as embedded data at the top of the survey flow, "
            "without a value"
        )
    if _PROLIFIC.fullmatch(text):
        return f"Prolific never filled in {quoted}: it fills in placeholders in the study's URL only"
    if _BRACES.fullmatch(text):
        return f"the placeholder {quoted} was never filled in: the survey has no field of that name"
    return None


def _parsed(kind: FieldType, raw: str) -> Plain | None:
    text = raw.strip()
    match kind:
        case FieldType.INT:
            return int(text) if WHOLE.fullmatch(text) and abs(int(text)) < INT_BOUND else None
        case FieldType.DOUBLE:
            return float(text) if NUMBER.fullmatch(text) else None
        case FieldType.BOOL:
            return BOOLS.get(text.lower())
        case FieldType.STRING | FieldType.TIMESTAMP:
            return raw


def _described(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return f"'{shown(value)}'"
    return f"the JSON value {shown(str(value).lower() if isinstance(value, bool) else repr(value))}"


def shown(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text that somebody sent as a message can quote it: the beginning of a long one, and printable."""
    return printable(text if len(text) <= longest else f"{text[:longest]}…")
