"""Three generated days of faults. ``make acceptance`` runs more."""

from pathlib import Path

from tests.integration.faults.bad_days import live_through


def test_on_a_few_bad_days_nothing_is_lost_doubled_or_wrong(postgres: str, tmp_path: Path) -> None:
    live_through(3, postgres, tmp_path)
