"""Which texts PostgreSQL and JSON can store: the one definition for webhooks, Prolific's answers and people's input."""

import re
from typing import Any

# PostgreSQL's text and jsonb hold no NUL, and UTF-8 has no halves of surrogate pairs.
NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(value: Any) -> bool:
    """Return True if every text in a JSON value can be stored, keys included."""
    if isinstance(value, str):
        return NOT_STORABLE.search(value) is None
    if isinstance(value, dict):
        return all(is_storable(key) and is_storable(child) for key, child in value.items())
    if isinstance(value, list):
        return all(is_storable(child) for child in value)
    return True


def storable(text: str) -> str:
    """Return the text with each character that can't be stored replaced by U+FFFD."""
    return NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
