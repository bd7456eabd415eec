"""A generated day of faults. ``make acceptance`` runs more."""

from pathlib import Path

from tests.integration.faults.bad_days import live_through


def test_bad_day_loses_doubles_or_misdecides_nothing(postgres: str, tmp_path: Path) -> None:
    live_through(1, postgres, tmp_path)
