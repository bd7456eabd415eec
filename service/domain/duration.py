"""Durations as people write them: 30m, 12h, 7d, 1h30m."""

import re
from datetime import timedelta

FORM = re.compile("(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
MAX_DURATION = timedelta(days=3650)


def parse(text: str) -> timedelta | None:
    """Return the duration. None for other text, for zero, and for more than ten years."""
    found = FORM.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return duration if timedelta(0) < duration <= MAX_DURATION else None
