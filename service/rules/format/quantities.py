"""Numbers, durations and shares of the rule format, each a type for the model."""

import math
import re
from datetime import timedelta
from fractions import Fraction
from typing import Annotated

from service.domain.duration import parse as parse_duration
from service.rules.format.document import Scalar
from service.rules.format.findings import Code, shortened
from service.rules.format.values import NUMBER, Reads, refused, text, wrong

SPELLED_OUT = re.compile(
    r"(?P<number>[0-9]+)\s*(?P<unit>days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|[dhms])", re.IGNORECASE
)
WHOLE = re.compile("[-+]?[0-9]{1,18}")
SHARE = re.compile("([0-9]{1,3}(?:[.][0-9]{1,9})?) ?%")
DURATION = "^(?=.*[1-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
SHARE_IN_JSON = r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,9})?) ?%$"


def whole(value: object, least: int, of: str = "") -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, Scalar) and value.plain and WHOLE.fullmatch(value.value):
        number = int(value.value)
    else:
        raise refused(value, f"a whole number{of}", _number_hint(value))
    if number < least:
        raise wrong(Code.BAD_VALUE, f"must be {least} or more")
    return number


def _number_hint(value: object) -> str:
    """Return what to write for a number in quotes, in percent, or with a decimal comma."""
    if not isinstance(value, Scalar):
        return ""
    entered = value.value.strip().removesuffix("%").strip().replace(",", ".")
    return f": write `{entered}`" if NUMBER.fullmatch(entered) and entered != value.source.strip() else ""


def whole_from(least: int, of: str = "") -> Reads:
    return Reads(lambda value, _: whole(value, least, of), {"type": "integer", "minimum": least})


def number(value: object, least: float = -math.inf, most: float = math.inf) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, Scalar) and value.plain and NUMBER.fullmatch(value.value):
        found = float(value.value)
    else:
        raise refused(value, "a number", _number_hint(value))
    if not (math.isfinite(found) and least <= found <= most):
        raise wrong(Code.BAD_VALUE, f"must be from {least:g} to {most:g}")
    return found


def number_from(least: float, most: float) -> Reads:
    schema = {"type": "number", "minimum": least, "maximum": most}
    return Reads(lambda value, _: number(value, least, most), schema)


def duration(value: object) -> timedelta:
    entered = text(value)
    found = parse_duration(entered)
    if found is None:
        how = _duration_hint(entered) or "write it like 30m, 12h, 7d or 1h30m, above zero"
        raise wrong(Code.BAD_VALUE, f"`{shortened(entered)}` is no duration; {how}")
    return found


def _duration_hint(entered: str) -> str:
    if entered.isdecimal() and entered.strip("0"):
        return f"write its unit: `{entered}m` for minutes, `{entered}h` for hours, `{entered}d` for days, such as 30m"
    found = SPELLED_OUT.fullmatch(entered.strip())
    if found and not found["number"].strip("0"):
        return ""
    return f"write `{found['number']}{found['unit'][0].lower()}`" if found else ""


def _share(value: object) -> Fraction:
    found = SHARE.fullmatch(value.value) if isinstance(value, Scalar) else None
    share = value if isinstance(value, Fraction) else Fraction(found[1]) / 100 if found else None
    if share is None or share > 1:
        example = _share_hint(value.value) if isinstance(value, Scalar) else "10%"
        raise wrong(Code.BAD_VALUE, f"must be a share from 0% to 100%, with the sign: `{example}`")
    return share


def _share_hint(entered: str) -> str:
    """Return ``10%`` for 10 and for 0.1."""
    if not NUMBER.fullmatch(entered) or not 0 < float(entered) <= 100:
        return "10%"
    return f"{float(entered) * (100 if float(entered) < 1 else 1):.10g}%"


Duration = Annotated[
    timedelta, Reads(lambda value, _: duration(value), {"type": "string", "pattern": DURATION})
]
Share = Annotated[
    Fraction, Reads(lambda value, _: _share(value), {"type": "string", "pattern": SHARE_IN_JSON})
]
