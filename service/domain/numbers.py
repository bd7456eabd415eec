"""Numbers as people read them. What is stored keeps every digit."""

from decimal import Decimal

DIGITS = 3  # significant digits of a number with a fraction
EXACT_BELOW = 1e15  # a double holds every whole number up to here


def rounded(number: float) -> str:
    """Return three significant digits, ``-3.42``; whole numbers are exact."""
    if number.is_integer():
        return str(int(number)) if abs(number) < EXACT_BELOW else str(number)
    text = f"{number:.{DIGITS}g}"
    # Format `g` changes to an exponent from 1000 on: 1234.5 is 1230 for people, not 1.23e+03.
    return text if abs(number) < 1e-4 else f"{Decimal(text):f}"
