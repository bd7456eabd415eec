"""Times as people write them in queries and options."""

from datetime import UTC, datetime


def parse(text: str) -> datetime | None:
    """Read an ISO 8601 time, UTC if it names no offset; None if it is none.

    In a URL the plus sign of an offset arrives as a space.
    """
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
