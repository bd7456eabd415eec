"""PG… variables of the shell describe another server: the embedded one is still reached."""

from pathlib import Path

import pytest

from service.postgres.embedded import delete_database
from tests.process import autoreview, complete_settings, environment, serving
from tests.world import rules_text, write_rules

VARIABLES = {
    "PGSSLMODE": "verify-full",
    "PGSERVICE": "elsewhere",
    "PGSERVICEFILE": "/nowhere",
    "PGOPTIONS": "-c search_path=nowhere -c default_transaction_read_only=on",
    "PGCLIENTENCODING": "latin1",
    "PGHOSTADDR": "192.0.2.1",
    "PGHOST": "elsewhere",
    "PGPORT": "1",
    "PGDATABASE": "elsewhere",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "none",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGTZ": "America/St_Johns",
}


async def test_variables_of_the_shell_do_not_reach_the_embedded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    settings = complete_settings(write_rules(tmp_path / "rules", rules_text()), tmp_path / "data")
    assert environment(settings)["PGSERVICE"] == "elsewhere"
    try:
        async with serving(settings, tmp_path / "log") as service:
            ended = autoreview("holds", settings=settings)  # beside the service
            assert (ended.returncode, ended.stderr) == (0, "")
            assert await service.stop() == 0
        ended = autoreview("holds", settings=settings)  # with a server for its own time
        assert ended.returncode == 0, ended.stderr
    finally:
        delete_database(tmp_path / "data")
