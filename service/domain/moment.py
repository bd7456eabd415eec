"""Times as text: in queries and options, and in JSON."""

from datetime import UTC, datetime


def parse(text: str) -> datetime | None:
    """Read an ISO 8601 time, UTC if it names no offset. Return None for other text."""
    # In a URL the plus sign of an offset arrives as a space.
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def from_row(value: datetime | str) -> datetime:
    """Return the time in a row: PostgreSQL gives ISO 8601 text inside JSON."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
