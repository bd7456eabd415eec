"""Durations as people write them (30m, 12h, 7d, 1h30m) and read them (21 days)."""

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


def described(duration: timedelta) -> str:
    """Return the duration for people, in days from two days on, else in hours: `21 days`, `36 hours`, `1 hour`."""
    unit = "day" if duration >= timedelta(days=2) else "hour"
    number = round(duration / timedelta(**{f"{unit}s": 1}), 1)
    return f"{number:,g} {unit}{'' if number == 1 else 's'}"
