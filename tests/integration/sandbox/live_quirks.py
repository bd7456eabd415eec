"""Quirks of the sandbox that every reader of a list is tested with."""

from typing import Any

SURVIVED: list[dict[str, Any]] = [
    {},
    {"page_cap": 7},
    {"ignores_status": True},
    {"unstable_order": True},
    {"short_pages": 1},
    {"looping_next": True},
    {"empty_past_end": True},
    {"page_cap": 7, "ignores_status": True, "unstable_order": True, "short_pages": 2, "looping_next": True},
]
