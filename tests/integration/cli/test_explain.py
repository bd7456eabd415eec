"""``autoreview explain``: what a review would decide. Nothing is applied or recorded."""

import asyncio
import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import psycopg
import pytest

from service.app import Parts
from service.domain.submission import Status
from service.sandbox.app import create_app
from service.sandbox.model import By
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.process import autoreview, complete_settings, serving
from tests.world import EVIDENCE, MESSAGE, TOKEN, World, bearer, rules_text, until, write_rules

RULES = rules_text(f"""
  - name: no consent
    when: evidence.survey.consented == false
    request_return: {{reasons: [Withdrew consent.]}}
  - name: far too slow
    when: {{all: [submission.pace > 9.0, 'study.status == "ACTIVE"']}}
    hold: Look.
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
  - name: empty
    when: submission.code_type == "NONE"
    hold: No code.
""")
WEB = Parts(web=True, worker=False)
SAID = {"consented": True, "attention_failed": 2}


async def explain(world: World, tmp_path: Path, *arguments: str, **settings: object) -> CompletedProcess[str]:
    """As an operator beside the service of this world."""
    known = {
        "rules_dir": tmp_path / "rules",
        "data_dir": tmp_path / "data",
        "database_url": world.service.database.url,
        "prolific_url": world.prolific_url,
        "prolific_token": TOKEN,
        "mode": "live",
    }
    return await asyncio.to_thread(autoreview, "explain", *arguments, settings=known | settings)


async def told(world: World, tmp_path: Path, submission: str, **settings: object) -> dict[str, Any]:
    ended = await explain(world, tmp_path, submission, "--json", **settings)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


async def test_it_says_what_the_review_then_decides(start: Start, tmp_path: Path) -> None:
    async with start(RULES, parts=WEB) as world:
        submission = world.completed()
        await world.push(submission.id, SAID)
        found = await told(world, tmp_path, submission.id)
        sandbox = world.sandbox
    async with start(RULES, sandbox=sandbox) as world:
        decision = await world.settled(submission.id)
    same = (
        "outcome",
        "proposed",
        "guard",
        "rule",
        "rule_file",
        "rules_hash",
        "mode",
        "action",
        "reason",
        "tag",
    )
    assert {name: found[name] for name in same} == {name: decision[name] for name in same}
    assert found["outcome"] == "reject"
    assert found["summary"] == decision["reason"]
    change = {"fact": "evidence.survey.attention_failed", "value": 1, "outcome": "approve"}
    assert found["counterfactual"] == change
    passed = {"now": None, "seen_at": None}
    assert found["facts"] | passed == decision["facts"] | passed
    asked = [(rule["rule"], rule["result"], rule["why"]) for rule in found["rules"][:3]]
    assert asked == [(rule["rule"], rule["result"], rule["why"]) for rule in decision["trace"]]
    assert (found["rules"][3]["rule"], found["rules"][3]["result"]) == ("empty", "not asked")


async def test_mode_limits_and_rules_are_those_of_the_service_at_work(start: Start, tmp_path: Path) -> None:
    """Another mode, limit or rules folder of the shell changes nothing."""
    others = write_rules(tmp_path / "others", rules_text(otherwise="hold"))
    shell = {"mode": "observe", "rules_dir": others, "limit_reward_per_day": 0}
    async with start(rules_text(), mode="approve-only", limit_reject_per_day=5) as world:
        decided = await world.reviewed(world.completed())
        found = await told(world, tmp_path, world.completed().id, **shell)
        assert (found["mode"], found["outcome"], found["guard"]) == ("approve-only", "approve", None)
        assert found["rules_hash"] == decided["rules_hash"]
        [worker] = found["service"]["workers"]
        assert (worker["mode"], worker["limits"]["reject_per_day"]) == ("approve-only", 5)
        shown = await explain(world, tmp_path, world.completed().id, **shell)
        assert "approve-only (of the service at work)" in shown.stdout
        status = await world.api("status")
        assert (status["mode"], [one["mode"] for one in status["workers"]]) == (
            "approve-only", ["approve-only"],
        )  # fmt: skip


async def test_explain_shows_the_modes_of_all_workers(
    start: Start, tmp_path: Path, database_url: str
) -> None:
    async with start(RULES, mode="observe") as before, start(RULES, mode="live") as after:
        await until(lambda: workers(after, 2), "both workers")
        found = await told(after, tmp_path, after.completed().id)
        assert sorted(one["mode"] for one in found["service"]["workers"]) == ["live", "observe"]
        for replica in (before, after):
            assert (await replica.api("status"))["mode"] == "live", "a review may be applied"
        shown = await explain(after, tmp_path, after.completed().id)
        assert "at work are live and observe: a change is under way" in shown.stdout
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


async def workers(world: World, number: int) -> bool:
    return len((await world.api("status"))["workers"]) == number


async def test_nothing_is_applied_or_recorded(start: Start, tmp_path: Path, database_url: str) -> None:
    async with start(RULES, parts=WEB) as world:
        submission = world.completed()
        await told(world, tmp_path, submission.id)
        assert world.calls(submission.id) == []
        assert {"transition", "request-return", "submissions"}.isdisjoint(world.prolific.seen)
        with psycopg.connect(database_url) as connection:
            for table in ("submissions", "studies", "decisions", "procrastinate_jobs"):
                row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - names of ours
                assert row == (0,), table


async def test_each_fact_has_its_value_and_where_that_came_from(start: Start, tmp_path: Path) -> None:
    async with start(RULES, parts=WEB) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 0})
        found = await told(world, tmp_path, submission.id)
        (pushed,) = (await world.api(f"submissions/{submission.id}"))["evidence"]
    assert (found["outcome"], found["guard"]) == ("hold", "undecidable")
    facts = {fact["fact"]: fact for rule in found["rules"] for fact in rule["facts"]}
    at = pushed["received_at"][:19].replace("T", " ")
    assert facts["evidence.survey.consented"]["value"] is None
    assert facts["evidence.survey.attention_failed"] == {
        "fact": "evidence.survey.attention_failed",
        "value": 0,
        "source": f"survey, pushed at {at} UTC",
    }
    assert facts["submission.pace"]["source"].startswith("computed")
    assert facts["submission.pace"]["value"] == pytest.approx(700 / 720)
    assert facts["study.status"] == {
        "fact": "study.status",
        "value": "ACTIVE",
        "source": "Prolific's study",
    }
    slow = found["rules"][1]
    assert (slow["result"], slow["decided_by"]) == ("not matched", ["submission.pace > 9.0"])


async def test_people_read_the_sentence_first_then_rules_and_facts(start: Start, tmp_path: Path) -> None:
    async with start(RULES, parts=WEB) as world:
        submission = world.completed()
        await world.push(submission.id, SAID)
        ended = await explain(world, tmp_path, submission.id)
    lines = ended.stdout.splitlines()
    assert lines[0] == "Rejected by ‘failed two checks’: evidence.survey.attention_failed was 2."
    assert any(line.startswith("  matched      failed two checks: ") for line in lines)
    assert any(
        line.startswith("    evidence.survey.attention_failed = 2  (survey, pushed at 20") for line in lines
    )
    assert any("no decision yet" in line for line in lines)


async def test_explain_shows_guards(start: Start, tmp_path: Path) -> None:
    limits = RULES.replace("rules:", "limits: {reject: {per_day: 1}}\nrules:")
    async with start(limits) as world:
        first, second = world.completed(), world.completed()
        await world.push(first.id, SAID)
        await world.settled(first.id)
        again = await told(world, tmp_path, first.id)
        assert again["summary"].startswith("Nothing would be decided, its status is REJECTED.")
        assert again["guard"] == "reopened"
        assert (again["last_decision"]["status"], again["last_decision"]["same"]) == ("applied", False)
        await world.push(second.id, SAID)
        await world.settled(second.id)
        held = await told(world, tmp_path, second.id)
        assert (held["outcome"], held["proposed"], held["guard"]) == ("hold", "reject", "limit.reject")


async def test_a_decision_on_record_that_a_review_would_repeat_is_named(start: Start, tmp_path: Path) -> None:
    async with start(RULES) as world:
        submission = world.completed()
        decision = await world.reviewed(submission)
        found = await told(world, tmp_path, submission.id)
        assert found["last_decision"] == {"id": decision["id"], "status": "held", "same": True}


async def test_one_that_was_given_up_says_so(start: Start, tmp_path: Path) -> None:
    async with start(RULES, parts=WEB) as world:
        submission = world.completed()
        world.sandbox.change(submission, Status.RETURNED, By.PARTICIPANT, notify=False)
        found = await told(world, tmp_path, submission.id)
        assert found["summary"].startswith("Nothing would be decided, its status is RETURNED.")


async def test_what_cannot_be_explained_is_said_in_a_sentence(start: Start, tmp_path: Path) -> None:
    async with start(RULES, parts=WEB) as world:
        unclaimed = world.completed(study=TWO_PARTS)
        for submission, said in (
            ("5f0c3a1be7d94c0d00000000", "Prolific knows no submission 5f0c3a1be7d94c0d00000000"),
            (unclaimed.id, f"No rule file claims study {TWO_PARTS}"),
        ):
            ended = await explain(world, tmp_path, submission)
            assert ended.returncode == 1
            assert ended.stderr.startswith(said)
            assert "Traceback" not in ended.stderr
        ended = await explain(world, tmp_path, unclaimed.id, prolific_token="")
        assert ended.returncode == 2
        assert "AUTOREVIEW_PROLIFIC_TOKEN" in ended.stderr


async def test_it_asks_the_running_services_own_database(tmp_path: Path, data_dir: Path) -> None:
    state = shipped_state(time_scale=1000.0, seed=3)
    async with sandbox_running(create_app(state, token=TOKEN)) as prolific_url:
        settings = complete_settings(write_rules(tmp_path / "rules", RULES), data_dir, prolific_url)
        settings["mode"] = "observe"
        submission = state.reserve(STROOP, notify=False)
        async with serving(settings, tmp_path / "log") as service:
            await push(service.http, submission.id)
            state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
            ended = await asyncio.to_thread(autoreview, "explain", submission.id, settings=settings)
            assert ended.stdout.startswith("Rejected by ‘failed two checks’"), ended.stderr
            assert (await service.http.get("/readyz")).status_code == 200


async def push(http: httpx.AsyncClient, submission: str) -> None:
    answer = await http.put(f"/evidence/survey/{submission}", json=SAID, headers=bearer(EVIDENCE))
    assert answer.status_code == 202
