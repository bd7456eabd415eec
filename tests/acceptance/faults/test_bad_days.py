"""Generated days of faults: twelve fixed ones, or ``BAD_DAYS=100`` random ones."""

from pathlib import Path

from tests.integration.faults.bad_days import MORE, live_through


def test_twelve_bad_days_lose_double_or_misdecide_nothing(postgres: str, tmp_path: Path) -> None:
    live_through(MORE or 12, postgres, tmp_path)
