"""A role with a limit on its connections: engine and jobs share it, or the service says how many it needs."""

import asyncio
from pathlib import Path

import pytest

from service.postgres.requirements import LEAST_WEB, LEAST_WORKER, WEB, WORKER, Budget
from tests.integration.postgres.roles import MakeRole, refused, run
from tests.process import complete_settings, serving
from tests.world import rules_text, signed, status_change, write_rules

RIGHTS = (
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
)


@pytest.mark.parametrize("total", range(4, 20))
def test_budget_is_shared_between_engine_and_jobs(total: int) -> None:
    shrunk = WORKER.shrunk(total)
    assert shrunk.total == min(total, WORKER.total)
    assert shrunk.engine >= LEAST_WORKER.engine
    assert shrunk.jobs >= LEAST_WORKER.jobs
    assert WEB.shrunk(min(total, 5)) == Budget(min(total, 5), 0)


async def test_service_works_with_five_connections(database_url: str, role: MakeRole, tmp_path: Path) -> None:
    url = role(database_url, *RIGHTS, "ALTER ROLE {role} CONNECTION LIMIT 5")
    rules = write_rules(tmp_path / "rules", rules_text())
    settings = complete_settings(rules, tmp_path / "data") | {"database_url": url, "mode": "observe"}
    async with serving(settings, tmp_path / "log") as service:

        async def told(number: int) -> int:
            body = status_change(f"submission-{number}")
            headers = signed(body, event_id=f"e-{number}")
            return (await service.http.post("/webhooks/prolific", content=body, headers=headers)).status_code

        assert set(await asyncio.gather(*map(told, range(40)))) == {202}
        for _ in range(10):
            assert (await service.http.get("/readyz")).status_code == 200
        assert await service.stop() == 0
    assert "too many connections" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("only", "needed"), [("", LEAST_WORKER.total), (" --only web", LEAST_WEB.total)])
def test_serve_names_the_connections_that_it_needs(
    database_url: str, role: MakeRole, tmp_path: Path, only: str, needed: int
) -> None:
    url = role(database_url, *RIGHTS, f"ALTER ROLE {{role}} CONNECTION LIMIT {needed - 1}")
    rules = write_rules(tmp_path / "rules", rules_text())
    sentence = refused(f"serve{only}", url, **complete_settings(rules, tmp_path / "data"))
    assert f"{needed - 1} connections, and this process needs at least {needed}" in sentence


def test_limit_of_the_database_counts_too(database_url: str, role: MakeRole, tmp_path: Path) -> None:
    url = role(database_url, *RIGHTS)
    name = database_url.rpartition("/")[2]
    run(database_url, f'ALTER DATABASE "{name}" CONNECTION LIMIT 3')
    rules = write_rules(tmp_path / "rules", rules_text())
    sentence = refused("serve", url, **complete_settings(rules, tmp_path / "data"))
    assert "3 connections, and this process needs at least 4" in sentence
