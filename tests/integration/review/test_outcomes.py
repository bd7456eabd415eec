"""Each of the five outcomes, from the webhook to what Prolific was asked and what is on record."""

from tests.conftest import Start
from tests.world import rules_text

REJECT = """
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject:
      category: FAILED_CHECK
      message: >-
        You missed {evidence.survey.attention_failed} of the attention checks in our study. Each asked for one
        particular answer, as its text said. If you think this is a mistake, please write to us.
"""


async def test_an_approval_is_applied_once_and_recorded(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert decision["outcome"] == decision["proposed"] == "approve"
        assert decision["status"] == "applied"
        assert decision["guard"] is None
        assert decision["action"] == {"endpoint": "transition", "body": {"action": "APPROVE"}}
        assert world.calls(submission.id) == [{"action": "APPROVE"}]
        assert submission.status == "APPROVED"
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [200]


async def test_a_rejection_carries_its_category_and_the_evidence_in_its_message(start: Start) -> None:
    async with start(rules_text(REJECT)) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 3})
        decision = await world.settled(submission.id)
        assert (decision["outcome"], decision["rule"]) == ("reject", "failed two checks")
        assert decision["trigger"] == "evidence"
        (sent,) = world.calls(submission.id)
        assert sent["action"] == "REJECT"
        assert sent["rejection_category"] == "FAILED_CHECK"
        assert sent["message"].startswith("You missed 3 of the attention checks")
        assert submission.status == "REJECTED"


async def test_a_request_to_return_is_sent_with_its_reasons(start: Start) -> None:
    rules = """
  - name: no code
    when: submission.code_type == "NONE"
    request_return: {reasons: ["You entered no code, {submission.participant_id}."]}
    recheck_after: 7d
"""
    async with start(rules_text(rules)) as world:
        submission = world.completed(code=None)
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("request_return", "applied")
        assert world.calls(submission.id) == [
            {"request_return_reasons": [f"You entered no code, {submission.participant_id}."]}
        ]
        assert submission.return_requested is not None
        assert decision["recheck_at"] > decision["decided_at"]


async def test_a_completion_uses_the_studys_code_of_that_type(start: Start) -> None:
    from service.sandbox.studies import TWO_PARTS

    rules = rules_text("""
  - name: half done
    when: submission.code_type == "HALF_DONE"
    complete: {code_type: PARTIAL_PAYMENT, percentage_of_reward: 50, message_to_participant: Thank you.}
""").replace("60aca280709ee40ec37d4885", TWO_PARTS)
    async with start(rules) as world:
        submission = world.completed(study=TWO_PARTS, code="0NEPART1")
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("complete", "applied")
        (sent,) = world.calls(submission.id)
        assert sent["action"] == "COMPLETE"
        assert sent["completion_code_data"] == {
            "percentage_of_reward": 50,
            "message_to_participant": "Thank you.",
        }
        assert submission.status == "PARTIALLY APPROVED"


async def test_a_hold_asks_prolific_for_nothing(start: Start) -> None:
    rules = """
  - name: unknown code
    when: submission.code_type == "UNKNOWN"
    hold: The code {submission.entered_code} is none of ours.
"""
    async with start(rules_text(rules)) as world:
        submission = world.completed(code="WR0NG")
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"], decision["guard"]) == ("hold", "held", None)
        assert decision["action"] is None
        assert "WR0NG" in decision["reason"]
        assert world.calls(submission.id) == []
        assert submission.status == "AWAITING REVIEW"


async def test_decision_has_every_field_of_the_contract(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        listed = await world.reviewed(submission)
        decision = await world.api(f"decisions/{listed['id']}")
        assert decision == listed | {"counterfactual": None}
        assert set(decision) == {
            "id", "submission_id", "study_id", "participant_id", "decided_at", "trigger", "outcome", "proposed",
            "guard", "rule", "rule_file", "rules_hash", "mode", "action", "tag", "by", "note", "reason", "trace",
            "facts", "status", "attempts", "recheck_at", "counterfactual",
        }  # fmt: skip
        assert set(decision["facts"]) == {"submission", "study", "evidence", "now", "seen_at"}
        assert set(decision["attempts"][0]) == {"at", "request", "status_code", "answer"}


async def test_trace_has_each_condition_with_its_state_and_each_value_with_source_and_age(
    start: Start,
) -> None:
    when = "{all: [evidence.survey.attention_failed >= 2, submission.pace > 0.0, evidence.survey.consented]}"
    async with start(rules_text(f"[{{name: failed, when: {when}, hold: Look.}}]")) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 0})
        [rule] = (await world.settled(submission.id))["trace"]
    assert [condition["state"] for condition in rule["conditions"]] == ["not met", "met", "unknown"]
    assert [condition["text"] for condition in rule["conditions"]][1] == "submission.pace > 0.0"
    seen = {fact["fact"]: fact for condition in rule["conditions"] for fact in condition["facts"]}
    failed, pace = seen["evidence.survey.attention_failed"], seen["submission.pace"]
    assert (failed["value"], failed["source"], pace["source"]) == (0, "evidence survey", "this service")
    assert all(0 <= fact["age_s"] < 600 for fact in (failed, pace))
    assert seen["evidence.survey.consented"] == {
        "fact": "evidence.survey.consented",
        "value": None,
        "source": "evidence survey",
        "age_s": None,
    }


async def test_a_decision_says_which_change_of_one_fact_would_have_changed_it(start: Start) -> None:
    async with start(rules_text(f"{REJECT}\n")) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 3})
        listed = await world.settled(submission.id)
        decision = await world.api(f"decisions/{listed['id']}")
    assert decision["outcome"] == "reject"
    change = {"fact": "evidence.survey.attention_failed", "value": 1, "outcome": "approve"}
    assert decision == listed | {"counterfactual": change}
