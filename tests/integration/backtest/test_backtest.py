"""Backtests of the decisions of a real service."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.backtest.judging import Backtest
from service.backtest.run import NothingToCompare, backtest, stored
from service.rules import load
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.world import MESSAGE, World, rules_text, write_rules

FAILED = """
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {category: FAILED_CHECK, message: "%s {evidence.survey.attention_failed}"}
"""
RULES = rules_text(FAILED % MESSAGE)
STRICTER = rules_text((FAILED % MESSAGE).replace(">= 2", ">= 1"))


async def compared(world: World, folder: Path, text: str, **options: Any) -> dict[str, Any]:
    book = load(write_rules(folder, text))
    async with world.service.database.connect() as connection:
        return (await backtest(connection, STROOP, book, **options)).comparison.as_json()


async def decided(world: World, **evidence: Any) -> dict[str, Any]:
    submission = world.completed()
    assert (await world.push(submission.id, evidence)).status_code == 202
    return await world.settled(submission.id)


async def test_same_rules_change_no_outcome_of_a_study(start: Start, tmp_path: Path) -> None:
    async with start(RULES) as world:
        for failed in (0, 1, 2, 3):
            await decided(world, attention_failed=failed)
        await world.reviewed(world.completed())  # without evidence: undecidable
        found = await compared(world, tmp_path / "same", RULES)
    assert found["changed"] == []
    assert found["matrix"] == {"approve": {"approve": 2}, "reject": {"reject": 2}, "hold": {"hold": 1}}
    assert found["as_of_now"] == 0


async def test_other_rules_report_changes_with_rule_reason_and_money(start: Start, tmp_path: Path) -> None:
    async with start(RULES) as world:
        decisions = [await decided(world, attention_failed=failed) for failed in (0, 1, 2)]
        found = await compared(world, tmp_path / "other", STRICTER)
    assert set(found) == {
        *("study", "submissions", "matrix", "changed", "rules", "money", "rates", "as_of_now"),
    }
    assert (found["study"], found["submissions"]) == (STROOP, 3)
    assert found["matrix"] == {"approve": {"approve": 1, "reject": 1}, "reject": {"reject": 1}}
    assert found["changed"] == [
        {
            "submission_id": decisions[1]["submission_id"],
            "old": "approve",
            "new": "reject",
            "old_rule": None,
            "new_rule": "failed two checks",
            "reason": "Rejected by ‘failed two checks’: evidence.survey.attention_failed was 1.",
            "manual": False,
        }
    ]
    reward = decisions[0]["facts"]["study"]["reward"]
    assert found["money"] == {
        "approved": {"old": 2 * reward, "new": reward},
        "saved": reward,
        "newly_paid": 0,
        "held": 0,
    }
    assert found["rules"] == [
        {"rule": "failed two checks", "matched": 2, "unknown": 0, "unknown_because": {}, "reached": 3}
    ]
    assert found["rates"]["reject"]["new"]["n"] == 2


async def test_evidence_after_the_decision_is_ignored(start: Start, tmp_path: Path) -> None:
    reads_more = rules_text(
        FAILED % MESSAGE + "  - {name: gibberish, when: evidence.survey.gibberish > 0.5, hold: Look.}\n"
    )
    async with start(RULES) as world:
        decision = await decided(world, attention_failed=0, gibberish=0.1)
        before = await compared(world, tmp_path / "before", reads_more)
        await world.push(decision["submission_id"], {"attention_failed": 5, "gibberish": 0.9})
        await world.at_rest()
        assert await compared(world, tmp_path / "after", reads_more) == before
    assert before["changed"] == []


async def test_field_declared_later_has_its_value_at_the_decision(start: Start, tmp_path: Path) -> None:
    declares = "consented: bool, comment: string"
    more = rules_text(
        "[{name: bot, when: evidence.survey.bot, hold: Look.}]",
    ).replace(declares, f"{declares}, bot: bool")
    async with start(RULES) as world:
        decision = await decided(world, attention_failed=0)
        async with world.service.database.begin() as connection:
            await connection.exec_driver_sql("UPDATE evidence SET payload = payload || '{\"bot\": false}'")
        found = await compared(world, tmp_path / "then", more)
        assert found["changed"] == []
        async with world.service.database.begin() as connection:
            await connection.exec_driver_sql(
                "INSERT INTO evidence (source, submission_id, payload) VALUES ('survey', %s, %s)",
                (decision["submission_id"], '{"bot": true}'),
            )
        assert await compared(world, tmp_path / "later", more) == found


async def test_manual_decision_counts_with_its_outcome(start: Start, tmp_path: Path) -> None:
    async with start(rules_text("[]", otherwise="hold")) as world:
        held = await world.reviewed(world.completed())
        resolve = f"/api/submissions/{held['submission_id']}/resolve"
        said = {"action": {"approve": {}}, "by": "Ada"}
        headers = {"Authorization": "Bearer an-admin"}
        assert (await world.http.post(resolve, json=said, headers=headers)).status_code == 200
        await world.at_rest()
        same = await compared(world, tmp_path / "same", rules_text("[]", otherwise="hold"))
        rejects = f"[{{name: all, when: 'true', reject: {{category: OTHER, message: '{MESSAGE}'}}}}]"
        other = await compared(world, tmp_path / "other", rules_text(rejects))
    assert (same["changed"], same["matrix"]) == ([], {"approve": {"hold": 1}})
    [changed] = other["changed"]
    assert (changed["old"], changed["new"], changed["manual"]) == ("approve", "reject", True)


async def test_undecided_submission_is_judged_as_of_its_completion(start: Start, tmp_path: Path) -> None:
    pace = rules_text("[{name: slow, when: submission.pace > 0.0, hold: Look.}]")
    async with start(rules_text("[]").replace(STROOP, "another")) as world:
        submission = world.completed()
        await world.tell(submission.id)
        await world.at_rest()
        await world.push(submission.id, {"attention_failed": 3})
        found = await compared(world, tmp_path / "late", RULES)
        slow = await compared(world, tmp_path / "pace", pace)
    assert found["matrix"] == {"undecided": {"hold": 1}}  # the evidence came after the completion
    assert found["changed"] == []
    assert found["rules"][0]["unknown_because"] == {"evidence.survey.attention_failed": 1}
    assert (found["as_of_now"], slow["as_of_now"]) == (0, 1)


async def undecided(world: World, payload: dict[str, Any], **columns: Any) -> str:
    """Return a fetched, undecided submission with evidence from before its completion."""
    submission = world.completed()
    await world.tell(submission.id)
    await world.at_rest()
    origin, readings = columns.get("origin", "push"), columns.get("readings")
    async with world.service.database.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO evidence (source, submission_id, payload, origin, readings, received_at) "
            "VALUES ('survey', %s, %s, %s, %s, now() - interval '1 year')",
            (submission.id, json.dumps(payload), origin, json.dumps(readings) if readings else None),
        )
    return submission.id


async def test_evidence_of_an_undecided_submission_is_read_as_in_a_review(
    start: Start, tmp_path: Path
) -> None:
    failed, fine = {"attention_failed": 2}, {"attention_failed": 0}
    device = rules_text("[{name: shared, when: evidence.survey.comment_seen_before > 0, hold: Look.}]")
    device = device.replace("comment: string", "comment: {type: string, fingerprint: true}")
    async with start(rules_text("[]").replace(STROOP, "another")) as world:
        await undecided(world, failed)
        sent = await undecided(world, failed, origin="browser")
        await undecided(world, fine, readings={"rules.yaml": failed, "other.yaml": fine})
        found = await compared(world, tmp_path / "marked", RULES)
        file = load(write_rules(tmp_path / "edited", RULES, "edited.yaml"))
        async with world.service.database.connect() as connection:
            edited = (await backtest(connection, STROOP, file)).comparison
            [marked] = [
                one
                async for one in Backtest(
                    connection, await stored(connection, STROOP), file.files[0]
                ).judged()
                if one.submission_id == sent
            ]
        counted = await compared(world, tmp_path / "compared", device)
    assert found["matrix"] == {"undecided": {"reject": 2, "hold": 1}}
    assert marked.new.reason.startswith("Nothing but evidence sent by the participant's browser")
    # No file of this name read the third body, and the files that did read it differently.
    assert edited.as_json()["matrix"] == {"undecided": {"reject": 1, "hold": 2}}
    # Comparisons with other submissions are not stored: the report counts them as unknown.
    assert counted["rules"][0]["unknown_because"] == {"evidence.survey.comment_seen_before": 3}
    assert counted["matrix"] == {"undecided": {"hold": 3}}


async def test_since_leaves_out_earlier_decisions(start: Start, tmp_path: Path) -> None:
    async with start(RULES) as world:
        await decided(world, attention_failed=0)
        found = await compared(world, tmp_path / "a", RULES, since=datetime(2100, 1, 1, tzinfo=UTC))
    assert (found["submissions"], found["matrix"]) == (0, {})


async def test_unclaimed_or_unknown_study_is_reported(start: Start, tmp_path: Path) -> None:
    async with start(RULES) as world:
        with pytest.raises(NothingToCompare, match="ever seen"):
            await compared(world, tmp_path / "a", RULES)
        await decided(world, attention_failed=0)
        with pytest.raises(NothingToCompare, match="No rule file claims study"):
            await compared(world, tmp_path / "b", RULES.replace(STROOP, "another"))
