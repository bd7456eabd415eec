"""A stop ends within half a minute for any state of the database, and names the unfinished jobs."""

import asyncio
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from service.app import Parts, build
from service.postgres.embedded import embedded_postgres
from service.rulebook.current import RulesInForce
from service.rules import load
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.serve import bind, running
from service.settings import Settings
from tests.integration.intake.test_frozen_database import frozen
from tests.process import complete_settings, serving
from tests.world import SECRET, TOKEN, rules_text, signed, status_change, until, write_rules

LONGEST_STOP = 30.0  # seconds, as promised


async def test_stop_with_a_frozen_database_ends_in_time_and_names_the_jobs(
    tmp_path: Path, data_dir: Path
) -> None:
    """``tests/acceptance/faults/test_frozen_embedded.py`` freezes an embedded database, which takes longer."""
    with embedded_postgres(data_dir) as url:
        await stops_in_time(data_dir, tmp_path, database_url=url, data_dir=tmp_path / "unused")


async def stops_in_time(database: Path, folder: Path, **given: object) -> None:
    """Stop a service during a review while the database with this data folder is frozen."""
    state = shipped_state(time_scale=1000.0, seed=7)
    state.faults.add(Fault("submission", latency=3, count=None))
    rules = write_rules(folder / "rules", rules_text())
    async with sandbox_running(create_app(state, token=TOKEN)) as prolific_url:
        settings = complete_settings(rules, database, prolific_url) | given
        await _stops(settings, database, folder / "log", state)


async def _stops(settings: dict[str, object], data_dir: Path, log: Path, state: SandboxState) -> None:
    async def asked() -> bool:
        return "submission" in state.faults.seen

    async with serving(settings, log) as service:
        submission = uuid4().hex[:24]
        body = status_change(submission)
        answer = await service.http.post(
            "/webhooks/prolific", content=body, headers=signed(body, event_id=uuid4().hex)
        )
        assert answer.status_code == 202
        await until(asked, "Prolific to be asked")
        with frozen(data_dir):
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(service.process.wait(), LONGEST_STOP)
            assert time.monotonic() - began < LONGEST_STOP
        said = log.read_text()
        assert "stopping.left" in said
        assert "stopping.forced" not in said
        assert "Traceback" not in said
        assert '"exception"' not in said


async def test_no_chore_starts_once_the_service_stops(empty_database_url: str, tmp_path: Path) -> None:
    """Chores wait for the schema; a stop is no reason to begin them."""
    began: list[str] = []

    async def chore() -> None:
        began.append("chore")

    rules = write_rules(tmp_path / "rules", rules_text())
    settings = Settings(port=0, prolific_token=TOKEN, webhook_secrets=SECRET)
    service = build(settings, empty_database_url, RulesInForce(load(rules), datetime.now(UTC), folder=rules))
    service = replace(service, after_migration=(chore,))
    async with running(service, Parts(), bind(settings), drain=0.5):
        await asyncio.sleep(0.5)
    assert began == []
    assert not service.health.worker_running
