"""Durations as people write them: ``30m``, ``7d``, ``1h30m``."""

import re
from datetime import timedelta

UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


def parse_duration(text: str) -> timedelta:
    """Read a duration longer than nothing. Raises ValueError saying how to write one."""
    found = DURATION.fullmatch(text.strip())
    amounts = found.groups() if found else ()
    length = timedelta(
        **{unit: int(amount) for unit, amount in zip(UNITS.values(), amounts, strict=False) if amount}
    )
    if not length:
        raise ValueError(f"not a duration: {text!r}; write a number and a unit, such as 30m, 12h or 7d")
    return length
