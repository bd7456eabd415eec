"""One field of a body of Prolific's at a time: what is missing or of another type is None.

Texts come as the database can keep them: NUL and halves of surrogate pairs, which people can type, become U+FFFD.

Where nothing can be done without it, it is a ``ValueError`` instead; the client makes that ``Unreadable``.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from service.domain.text import storable

Body = Mapping[str, Any]


def read_moment(value: Any) -> datetime | None:
    """Read an ISO 8601 time with any fraction of a second; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def read_http_date(value: str | None) -> datetime | None:
    """Read the time of a Date header."""
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
    """The rows of a list."""
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
    """Whether the body is about what was asked for; one that names nothing is not judged. Raises ValueError."""
    if body.get("id") not in (None, wanted):
        raise ValueError("it is about something else than was asked for")


def first(body: Body, *fields: str) -> Any:
    return next((body[field] for field in fields if body.get(field) is not None), None)


def text(value: Any) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)
