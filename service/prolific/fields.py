"""Read single fields of Prolific's bodies. A missing field, or one of another type, is None.

Characters that the database can't store (NUL, halves of surrogate pairs) become U+FFFD. A field that is required
raises ``ValueError`` instead, which the client turns into ``Unreadable``.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from service.domain.text import storable

Body = Mapping[str, Any]


def read_moment(value: Any) -> datetime | None:
    """Return the time of an ISO 8601 text, with any fraction of a second. Without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def read_http_date(value: str | None) -> datetime | None:
    """Return the time of a Date header."""
    try:
        moment = parsedate_to_datetime(value or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def mapping(body: Any) -> Body:
    if isinstance(body, dict):
        return body
    raise ValueError("an object was expected")


def results(body: Any) -> list[Any]:
    """Return the rows of a list."""
    rows = mapping(body).get("results")
    if isinstance(rows, list):
        return rows
    raise ValueError("it has no list of results")


def required(body: Body, field: str) -> str:
    value = text(body.get(field))
    if value is None:
        raise ValueError(f"it has no {field}")
    return value


def check_id(body: Body, wanted: str) -> None:
    """Raise ValueError if the body has another id than the wanted one. A body without an id passes."""
    if body.get("id") not in (None, wanted):
        raise ValueError("it is about another object than the requested one")


def first(body: Body, *fields: str) -> Any:
    return next((body[field] for field in fields if body.get(field) is not None), None)


def text(value: Any) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def number(value: Any) -> float | None:
    # To Python a bool is an int: ``true`` must not become 1.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    # Python reads Infinity and NaN, which are no JSON and which the database refuses.
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)
