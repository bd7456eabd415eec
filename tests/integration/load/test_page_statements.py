"""The number of SQL statements of the first page, which everybody loads, and which loads again at each change."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
from starlette.applications import Starlette

from service.domain.decision import Mode
from service.postgres.database import Database
from service.routes import dashboard_of
from service.rulebook.current import RulesInForce
from service.rules import load
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.integration.load.plans import counted
from tests.integration.pages.browsing import sign_in
from tests.world import ADMIN, rules_text, write_rules

# Is the session signed out, the time, pauses, outcomes per hour, workers, last webhook, queue, heartbeat, what awaits
# review, failed decisions, refused evidence, sources that fail, names of studies.
STATEMENTS = 13


async def test_the_first_page_takes_thirteen_statements(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, pool_size=1)
    rules = RulesInForce(load(write_rules(tmp_path, rules_text())), datetime.now(UTC), folder=tmp_path)
    settings = Settings(admin_token=ADMIN, mode=Mode.LIVE)
    pages = dashboard_of(settings, database, rules, Metrics(), most_streams=1, clock=None)
    transport = httpx.ASGITransport(Starlette(routes=pages.routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        await sign_in(http)
        with counted(database) as statements:
            assert (await http.get("/")).status_code == 200
    await database.close()
    assert len(statements) == STATEMENTS, statements
