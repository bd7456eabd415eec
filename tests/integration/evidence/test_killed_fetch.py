"""Fetches of a killed process are repeated, and the answer is stored once."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from service.sandbox.app import create_app
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.studies import STROOP
from tests.integration.evidence.survey_server import HANG, SurveyServer, reply, survey_server
from tests.integration.faults.stored import Row, query
from tests.process import Running, complete_settings, serving
from tests.world import ADMIN, TOKEN, bearer, signed, status_change, swept_just_now, until, write_rules

RULES = """
version: 1
name: A test
studies: [{study}]
evidence:
  results: {{from: http, url: "{url}/r/{{submission.id}}", fields: {{failed: int}}, wait: 30m}}
rules:
  - name: failed checks
    when: evidence.results.failed >= 2
    hold: look
otherwise: approve
"""
# Evidence is stored when the test releases the lock. A killed process never commits it.
SLOW_STORE = """
    CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END';
    CREATE TRIGGER wait_for_test BEFORE INSERT ON evidence FOR EACH ROW EXECUTE FUNCTION wait_for_test();
"""
STORING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
EVIDENCE = "SELECT payload FROM evidence"
# The lease of the killed attempt is over, and its process is known to be dead.
LEASE_OVER = "UPDATE fetches SET due_at = now() RETURNING attempts"
FORGET_WORKERS = "DELETE FROM procrastinate_workers"


@asynccontextmanager
async def storing_is_slow(url: str) -> AsyncIterator[None]:
    """Let transactions that store evidence wait until the block ends."""
    await query(url, SLOW_STORE)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(7)")
        yield


@pytest.mark.parametrize("killed", ["before the answer", "while the answer is stored"])
async def test_fetch_of_a_killed_process_is_made_again_and_reviewed_once(
    database_url: str, tmp_path: Path, killed: str
) -> None:
    state = shipped_state(time_scale=1000.0, seed=7)
    submission = state.reserve(STROOP, notify=False)
    state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
    answer = reply(200, {"failed": 0})
    async with survey_server() as server, sandbox_running(create_app(state, token=TOKEN)) as prolific_url:
        rules = write_rules(tmp_path / "rules", RULES.format(study=STROOP, url=server.url))
        settings = complete_settings(rules, tmp_path, prolific_url)
        settings |= {"database_url": database_url, "sweep_every": "1h"}
        await swept_just_now(database_url)
        if killed == "before the answer":
            server.replies["*"] = [HANG, answer]
            await _kill_while_asking(settings, tmp_path / "log", submission.id, server)
        else:
            server.replies["*"] = [answer]
            await _kill_while_storing(settings, tmp_path / "log", submission.id, database_url)
        assert await query(database_url, EVIDENCE) == []
        await query(database_url, FORGET_WORKERS)
        assert await query(database_url, LEASE_OVER) == [{"attempts": 1}]
        async with serving(settings, tmp_path / "log") as running:

            async def is_applied() -> bool:
                return bool((await _decisions(running, submission.id))[0]["status"] == "applied")

            await until(is_applied, "the evidence to decide")
            found = [
                (one["outcome"], one["guard"], one["trigger"])
                for one in await _decisions(running, submission.id)
            ]
            assert found == [("approve", None, "evidence"), ("hold", "waiting", "webhook")]
        assert await query(database_url, EVIDENCE) == [{"payload": {"failed": 0}}]
        assert len(server.requests) == 2
        assert len(state.calls_for(submission.id)) == 1


async def _kill_while_asking(
    settings: dict[str, object], log: Path, submission: str, server: SurveyServer
) -> None:
    async with serving(settings, log) as running:
        await _report_completion(running, submission)

        async def is_asked() -> bool:
            return len(server.requests) == 1 and len(await _decisions(running, submission)) == 1

        await until(is_asked, "the source to be asked")
        await running.stop(signal.SIGKILL)


async def _kill_while_storing(settings: dict[str, object], log: Path, submission: str, url: str) -> None:
    async with serving(settings, log) as running:
        async with storing_is_slow(url):
            await _report_completion(running, submission)
            await until(lambda: query(url, STORING), "the answer to be stored")
            await running.stop(signal.SIGKILL)
        await query(url, "DROP FUNCTION wait_for_test CASCADE")


async def _report_completion(running: Running, submission: str) -> None:
    body = status_change(submission)
    assert (
        await running.http.post("/webhooks/prolific", content=body, headers=signed(body))
    ).status_code == 202


async def _decisions(running: Running, submission: str) -> list[Row]:
    found = await running.http.get("/api/decisions", params={"submission": submission}, headers=bearer(ADMIN))
    results: list[Row] = found.json()["results"]
    return results
