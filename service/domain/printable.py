"""Make texts from outside safe for terminals, spreadsheets and XML. Every output uses this module."""

import json
import re
from typing import Any

# Control characters (ESC, and C1, which some terminals treat as ESC sequences), characters that change the direction of
# writing, line and paragraph separators, halves of surrogate pairs, and characters that XML forbids.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
)
SIGN = "[=+\\-@＝＋－＠﹦﹢﹣﹫]"
BLANK = "[\\s\u200b-\u200d\u2060\ufeff]*"
FORMULA = re.compile(f"[\t\n\r]|{BLANK}{SIGN}")
# A semicolon, tab or line end begins a new cell in spreadsheets that separate cells by another character.
INNER_FORMULA = re.compile(f"([\n\t;])({BLANK}{SIGN})")


def printable(text: str, *, keep: str = "") -> str:
    r"""Return the text with each unsafe character as an escape, such as ``\x1b``.

    ``keep`` are characters to leave as they are. Without it the text stays on one line.
    """
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def printable_json(text: str) -> str:
    """Return the same JSON value without the characters that ``printable`` escapes."""
    return UNSAFE.sub(lambda found: "\n" if found[0] == "\n" else json.dumps(found[0])[1:-1], text)


def csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet runs as a formula. Values other than text stay as they are."""
    if not isinstance(value, str):
        return value
    text = printable(value.replace("\r\n", "\n"), keep="\n\t")
    guarded = INNER_FORMULA.sub(r"\1'\2", text)
    # An apostrophe makes a spreadsheet show the cell as text.
    return f"'{guarded}" if FORMULA.match(value) else guarded


def from_csv_cell(cell: str) -> str:
    """Return the original text of a cell that ``csv_cell`` escaped."""
    text = cell.strip()
    return text[1:].strip() if text.startswith("'") and FORMULA.match(text[1:]) else text
