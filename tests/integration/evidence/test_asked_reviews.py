"""Reviews wait for `http`, `sql` and `csv` sources, and their answers decide."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.sandbox.studies import STROOP
from service.store.tables import decisions, evidence, fetches
from tests.conftest import Start
from tests.integration.evidence.survey_server import HANG, reply, survey_server
from tests.world import World, until

RULES = """
version: 1
name: A test
studies: [{study}]
evidence:
{sources}
rules:
  - name: failed checks
    when: {condition}
    hold: look
otherwise: approve
"""


def rules(*sources: str, condition: str = "evidence.results.failed >= 2") -> str:
    return RULES.format(study=STROOP, sources="\n".join(f"  {one}" for one in sources), condition=condition)


def http(url: str, more: str = "wait: 30m, retry_every: 1s") -> str:
    return f'results: {{from: http, url: "{url}/r/{{submission.id}}", fields: {{failed: int}}, {more}}}'


async def decided(world: World, submission: str) -> dict[str, Any]:
    """Wait for a decision that does not wait for evidence."""

    async def look() -> dict[str, Any] | None:
        found = await world.decisions(submission)
        return found[0] if found and found[0]["guard"] != "waiting" else None

    newest: dict[str, Any] = await until(look, "a decision that waits for nothing")
    return newest


async def test_http_source_with_a_late_result_decides_when_it_arrives(start: Start) -> None:
    async with survey_server() as server:
        server.replies["*"] = [reply(404), reply(204), reply(200, []), reply(200, {"failed": 2, "other": 1})]
        async with start(rules(http(server.url))) as world:
            submission = world.completed()
            assert (await world.reviewed(submission))["guard"] == "waiting"
            decision = await decided(world, submission.id)
            assert (decision["outcome"], decision["rule"]) == ("hold", "failed checks")
            assert decision["facts"]["evidence"]["results"] == {"failed": 2, "received": True}
            assert decision["trigger"] == "evidence"
            assert [path for path, _ in server.requests] == [f"/r/{submission.id}"] * 4


async def test_http_source_token_comes_from_the_environment_and_is_not_stored(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOREVIEW_SOURCE_RESULTS", "s3cret-token")
    async with survey_server() as server:
        server.replies["*"] = [reply(500, b"s3cret-token"), reply(200, {"failed": "0"})]
        async with start(rules(http(server.url))) as world:
            submission = world.completed()
            await world.tell(submission.id)
            assert (await decided(world, submission.id))["outcome"] == "approve"
            assert {headers["authorization"] for _, headers in server.requests} == {"bearer s3cret-token"}
            async with world.service.database.connect() as connection:
                for table in (fetches, evidence, decisions):
                    assert "s3cret" not in repr((await connection.execute(sa.select(table))).all())


async def test_source_that_keeps_failing_is_missing_with_its_error_in_the_trace(start: Start) -> None:
    async with survey_server() as server:
        server.replies["*"] = [reply(500)]
        async with start(rules(http(server.url, "retry_every: 1s"))) as world:
            submission = world.completed()
            await world.tell(submission.id)
            decision = await decided(world, submission.id)
            assert (decision["outcome"], decision["guard"]) == ("hold", "undecidable")
            assert decision["facts"]["evidence"]["results"] == {"received": False}
            assert (
                "evidence.results.failed is missing (results: 127.0.0.1 answered 500)" in decision["reason"]
            )
            assert "127.0.0.1 answered 500" in decision["trace"][0]["why"]
            [failed] = (await world.api("status"))["evidence"]["failed"]
            assert (failed["source"], failed["number"]) == ("results", 1)
            assert failed["last_reason"] == "127.0.0.1 answered 500"


async def test_source_that_hangs_delays_no_other_review_or_source(start: Start, tmp_path: Path) -> None:
    database = tmp_path / "lab.db"
    with sqlite3.connect(database) as lab:
        lab.execute("CREATE TABLE results (session_id TEXT, failed INTEGER)")
    async with survey_server() as server:
        server.replies["*"] = [HANG]
        text = rules(http(server.url), condition="submission.pace > 50.0 && evidence.results.failed >= 2")
        async with start(text) as world:
            slow = [world.completed(seconds=40_000) for _ in range(12)]
            for one in slow:
                await world.tell(one.id)
            quick = world.completed()
            assert (await world.reviewed(quick))["outcome"] == "approve"
            assert len(server.requests) <= 4
            assert {(await world.decisions(one.id))[0]["guard"] for one in slow} == {"waiting"}


async def test_field_of_the_wrong_type_is_missing_and_reported_while_others_count(start: Start) -> None:
    source = (
        'results: {from: http, url: "%s/{submission.id}", fields: {failed: int, name: string}, wait: 30m}'
    )
    async with survey_server() as server:
        server.replies["*"] = [reply(200, {"failed": "two", "name": "x"})]
        async with start(rules(source % server.url)) as world:
            submission = world.completed()
            await world.tell(submission.id)
            decision = await decided(world, submission.id)
            assert decision["guard"] == "undecidable"
            assert decision["facts"]["evidence"]["results"] == {"name": "x", "received": True}
            assert "failed: 'two' is not a whole number" in decision["reason"]


async def test_sql_and_csv_sources_answer_while_an_http_source_is_down(start: Start, tmp_path: Path) -> None:
    database = tmp_path / "lab.db"
    with sqlite3.connect(database) as lab:
        lab.execute("CREATE TABLE results (session_id TEXT, failed INTEGER, consented INTEGER)")
    query = "SELECT failed, consented FROM results WHERE session_id = :submission_id"
    text = rules(
        http("http://127.0.0.1:9"),
        f"lab: {{from: sql, query: '{query}', fields: {{failed: int, consented: bool}}, wait: 30m, retry_every: 1s}}",
        "export: {from: csv, file: exports/survey.csv, key: SESSION_ID, fields: {failed: int}, "
        "map: {failed: Failed checks}, wait: 30m, retry_every: 1s}",
        condition="evidence.lab.failed + evidence.export.failed >= 2 && evidence.lab.consented",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOREVIEW_SOURCE_LAB", f"sqlite:///{database}")
        async with start(text) as world:
            submission = world.completed()
            assert (await world.reviewed(submission))["guard"] == "waiting"
            exports = tmp_path / "rules" / "exports"
            exports.mkdir()
            (exports / "survey.csv").write_text(f"SESSION_ID;Failed checks\n{submission.id};1\n", "utf-8")
            with sqlite3.connect(database) as lab:
                lab.execute("INSERT INTO results VALUES (?, 1, 1)", [submission.id])
            decision = await decided(world, submission.id)
            assert decision["rule"] == "failed checks"
            found = decision["facts"]["evidence"]
            assert found["lab"] == {"failed": 1, "consented": True, "received": True}
            assert found["export"] == {"failed": 1, "received": True}


async def test_changed_source_declaration_has_the_source_asked_again(start: Start, tmp_path: Path) -> None:
    async with survey_server() as server:
        server.replies["*"] = [reply(200, {"checks": {"failed": 0}})]
        async with start(rules(http(server.url, "retry_every: 1s"))) as world:
            submission = world.completed()
            await world.tell(submission.id)
            assert (await decided(world, submission.id))["guard"] == "undecidable"
            corrected = rules(http(server.url, "retry_every: 1s, map: {failed: checks.failed}"))
            (tmp_path / "rules" / "rules.yaml").write_text(corrected, encoding="utf-8")

            async def approved() -> bool:
                newest: str = (await world.decisions(submission.id))[0]["outcome"]
                return newest == "approve"

            await until(approved, "the corrected rules to decide")
