"""A stop with an embedded database that is frozen: the service has to end that, too."""

from pathlib import Path

from service.postgres.embedded import delete_database
from tests.integration.faults.test_stop import stops_in_time


async def test_stop_with_a_frozen_embedded_database_ends_in_time(tmp_path: Path) -> None:
    try:
        await stops_in_time(tmp_path / "data", tmp_path)
    finally:
        delete_database(tmp_path / "data")
