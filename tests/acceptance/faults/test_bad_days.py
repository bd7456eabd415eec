"""Generated days of faults: twelve fixed ones, or ``BAD_DAYS=100`` random ones."""

from pathlib import Path

from tests.integration.faults.bad_days import MORE, live_through


def test_however_bad_the_day_nothing_is_lost_doubled_or_wrong(postgres: str, tmp_path: Path) -> None:
    live_through(MORE or 12, postgres, tmp_path)
