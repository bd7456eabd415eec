"""Three generated days of faults. ``make acceptance`` runs more."""

from pathlib import Path

from tests.integration.faults.bad_days import live_through


def test_three_bad_days_lose_double_or_misdecide_nothing(postgres: str, tmp_path: Path) -> None:
    live_through(3, postgres, tmp_path)
