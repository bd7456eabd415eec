"""The first matching rule decides. An unknown rule before it holds the submission."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from service.domain.decision import Approve, Complete, Guard, Hold, Outcome, Reject, RequestReturn, Verdict
from service.rules import RuleFile

LoadText = Callable[[str], RuleFile]

MESSAGE = (
    "You missed {evidence.survey.failed} of our attention checks. "
    + "Please write to us if we are wrong. " * 3
)
REJECT = f"reject: {{category: FAILED_CHECK, message: '{MESSAGE}'}}"
FAILED = f"  - name: failed\n    when: evidence.survey.failed >= 2\n    {REJECT}\n"
WITHDREW = "  - name: withdrew\n    when: evidence.survey.consented == false\n    request_return: {reasons: [Withdrew.]}\n"
SKIP = "    if_unknown: skip\n"

Facts = dict[str, Any]


def results(verdict: Verdict) -> list[tuple[str, str]]:
    return [(entry["rule"], entry["result"]) for entry in verdict.trace]


def test_first_matching_rule_decides(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"] |= {"failed": 2, "consented": False}
    verdict = loaded(f"rules:\n{WITHDREW}{FAILED}otherwise: approve\n").decide(facts)
    assert verdict.action == RequestReturn(("Withdrew.",))
    assert (verdict.rule, verdict.guard) == ("withdrew", None)
    assert results(verdict) == [("withdrew", "matched")]


def test_reason_has_the_values_of_the_matching_rule(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["failed"] = 2
    verdict = loaded(f"rules:\n{FAILED}").decide(facts)
    assert isinstance(verdict.action, Reject)
    assert verdict.action.message.startswith("You missed 2 of our attention checks.")
    assert verdict.reason == "Rejected by ‘failed’: evidence.survey.failed was 2."
    assert verdict.trace == (
        {
            "rule": "failed",
            "result": "matched",
            "values": {"evidence.survey.failed": 2},
            "why": "evidence.survey.failed was 2.",
            "conditions": [
                {
                    "text": "evidence.survey.failed >= 2",
                    "state": "met",
                    "facts": [
                        {
                            "fact": "evidence.survey.failed",
                            "value": 2,
                            "source": "evidence survey",
                            "age_s": None,
                        }
                    ],
                }
            ],
        },
    )


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("otherwise: approve\n", Outcome.APPROVE), ("otherwise: hold\n", Outcome.HOLD), ("", Outcome.HOLD)],
)
def test_otherwise_decides_when_no_rule_matches(
    loaded: LoadText,
    facts: Facts,
    text: str,
    outcome: Outcome,
) -> None:
    verdict = loaded(f"rules:\n{FAILED}{text}").decide(facts)
    assert (verdict.proposed, verdict.action.outcome, verdict.rule, verdict.guard) == (
        outcome,
        outcome,
        None,
        None,
    )
    assert verdict.reason.endswith(": no rule matched.")


def test_otherwise_decides_in_a_file_without_rules(loaded: LoadText, facts: Facts) -> None:
    assert loaded("otherwise: approve\n").decide(facts).action == Approve()


def test_unknown_rule_before_the_deciding_one_holds(loaded: LoadText, facts: Facts) -> None:
    del facts["evidence"]["survey"]["failed"]
    verdict = loaded(f"rules:\n{FAILED}otherwise: approve\n").decide(facts)
    assert (verdict.proposed, verdict.rule, verdict.guard) == (Outcome.APPROVE, None, Guard.UNDECIDABLE)
    assert verdict.reason == "Held: can't rule out ‘failed’: evidence.survey.failed is missing."
    assert verdict.action == Hold(verdict.reason)
    assert verdict.trace[0]["values"] == {"evidence.survey.failed": None}


def test_unknown_rule_after_the_deciding_one_is_not_evaluated(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"] = {"received": True, "consented": False}
    verdict = loaded(f"rules:\n{WITHDREW}{FAILED}").decide(facts)
    assert verdict.action.outcome is Outcome.REQUEST_RETURN


@pytest.mark.parametrize(
    ("decider", "outcome"),
    [
        ("approve:", Outcome.APPROVE),
        ("complete: {code: X}", Outcome.COMPLETE),
        ("hold: Look.", Outcome.HOLD),
    ],
)
def test_skipped_unknown_rule_lets_approve_complete_and_hold_decide(
    loaded: LoadText,
    facts: Facts,
    decider: str,
    outcome: Outcome,
) -> None:
    del facts["evidence"]["survey"]["failed"]
    text = f"rules:\n{FAILED}{SKIP}  - name: last\n    when: submission.pace > 0.5\n    {decider}\n"
    verdict = loaded(text).decide(facts)
    assert (verdict.action.outcome, verdict.rule, verdict.guard) == (outcome, "last", None)
    assert "‘failed’" in verdict.reason


@pytest.mark.parametrize(
    "decider", [REJECT.replace("{evidence.survey.failed}", "some"), "request_return: {reasons: [a]}"]
)
def test_skipped_unknown_rule_holds_a_rejection_and_a_request_to_return(
    loaded: LoadText, facts: Facts, decider: str
) -> None:
    del facts["evidence"]["survey"]["failed"]
    text = f"rules:\n{FAILED}{SKIP}  - name: last\n    when: submission.pace > 0.5\n    {decider}\n"
    verdict = loaded(text).decide(facts)
    assert (verdict.guard, verdict.rule) == (Guard.UNDECIDABLE, "last")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{all: [submission.pace > 0.5, evidence.survey.failed > 1]}", "unknown"),
        ("{all: [submission.pace > 1.5, evidence.survey.failed > 1]}", "not matched"),
        ("{all: [evidence.survey.failed > 1, submission.pace > 1.5]}", "not matched"),
        ("{any: [evidence.survey.failed > 1, submission.pace > 0.5]}", "matched"),
        ("{any: [evidence.survey.failed > 1, submission.pace > 1.5]}", "unknown"),
        ("{any: [submission.pace > 1.5, submission.pace > 2.5]}", "not matched"),
        ("{none: [evidence.survey.failed > 1, submission.pace > 0.5]}", "not matched"),
        ("{none: [evidence.survey.failed > 1, submission.pace > 1.5]}", "unknown"),
        ("{none: [submission.pace > 1.5, submission.pace > 2.5]}", "matched"),
        ("evidence.survey.failed > 1 && submission.pace > 1.5", "not matched"),
        ("evidence.survey.failed > 1 || submission.pace > 0.5", "matched"),
    ],
)
def test_conditions_follow_three_valued_logic(
    loaded: LoadText, facts: Facts, when: str, expected: str
) -> None:
    del facts["evidence"]["survey"]["failed"]
    verdict = loaded(f"rules:\n  - name: r\n    when: {when}\n    approve:\n").decide(facts)
    assert results(verdict) == [("r", expected)]


def test_reason_names_only_the_facts_that_make_a_rule_unknown(loaded: LoadText, facts: Facts) -> None:
    del facts["evidence"]["survey"]["failed"]
    del facts["submission"]["pace"]
    when = "{any: [evidence.survey.failed > 1, submission.pace > 0.5, submission.time_taken < 3]}"
    verdict = loaded(f"rules:\n  - name: r\n    when: {when}\n    approve:\n").decide(facts)
    assert verdict.trace[0]["why"] == "evidence.survey.failed and submission.pace are missing."


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("failed", "3"),
        ("failed", True),
        ("failed", 3.0),
        ("failed", 2**63),
        ("failed", None),
        ("gibberish", "0.5"),
        ("gibberish", float("nan")),
        ("gibberish", 10**400),
        ("consented", 0),
        ("consented", "false"),
        ("note", 5),
        ("note", "a\ud800"),
    ],
)
def test_fact_of_another_type_is_missing(loaded: LoadText, facts: Facts, fact: str, value: Any) -> None:
    facts["evidence"]["survey"][fact] = value
    when = f"evidence.survey.{fact} == evidence.survey.{fact}"
    verdict = loaded(f"rules:\n  - name: r\n    when: {when}\n    approve:\n").decide(facts)
    assert verdict.guard is Guard.UNDECIDABLE
    assert verdict.trace[0]["values"] == {f"evidence.survey.{fact}": None}


def test_whole_number_is_accepted_as_double(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["gibberish"] = 1
    verdict = loaded(
        "rules:\n  - name: r\n    when: evidence.survey.gibberish >= 1.0\n    approve:\n"
    ).decide(facts)
    assert verdict.rule == "r"


def test_timestamps_are_compared_as_times(loaded: LoadText, facts: Facts) -> None:
    facts["submission"]["completed_at"] = "2026-01-01T12:00:00.123456+02:00"
    when = (
        "now - submission.completed_at < duration('60s') && submission.completed_at > submission.started_at"
    )
    verdict = loaded(f"rules:\n  - name: r\n    when: {when}\n    approve:\n").decide(facts)
    assert verdict.rule == "r"
    assert verdict.trace[0]["values"]["submission.completed_at"] == "2026-01-01T12:00:00.123456+02:00"


@pytest.mark.parametrize("time", ["2026-01-01T10:00:00", "soon", 5, "0001-01-01T00:00:00+14:00"])
def test_invalid_timestamp_is_missing(loaded: LoadText, facts: Facts, time: Any) -> None:
    facts["submission"]["completed_at"] = time
    verdict = loaded("rules:\n  - name: r\n    when: now > submission.completed_at\n    approve:\n").decide(
        facts
    )
    assert verdict.guard is Guard.UNDECIDABLE


def test_condition_error_holds_and_is_reported(loaded: LoadText, facts: Facts) -> None:
    text = (
        "rules:\n  - name: r\n    when: 10 / evidence.survey.failed > 3\n    approve:\notherwise: approve\n"
    )
    verdict = loaded(text).decide(facts)
    assert verdict.guard is Guard.UNDECIDABLE
    assert verdict.trace[0]["why"] == "the condition can't be evaluated (divide by zero)."


def test_condition_with_too_many_steps_holds(loaded: LoadText, facts: Facts) -> None:
    digits = "[0,1,2,3,4,5,6,7,8,9]"
    loops = "".join(f"{digits}.all(x{n}, " for n in range(6)) + "evidence.survey.failed == 0" + ")" * 6
    verdict = loaded(f"rules:\n  - name: r\n    when: '{loops}'\n    approve:\n").decide(facts)
    assert verdict.guard is Guard.UNDECIDABLE


def test_unknown_rule_waits_for_evidence_to_come(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"] = {}
    verdict = loaded(f"rules:\n{FAILED}otherwise: approve\n").decide(facts)
    assert (verdict.guard, verdict.proposed) == (Guard.WAITING, Outcome.APPROVE)
    assert verdict.action == Hold(verdict.reason)
    assert verdict.reason.startswith("Waiting for evidence of survey: ")


def test_skipped_rule_waits_for_evidence_to_come(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"] = {}
    assert loaded(f"rules:\n{FAILED}{SKIP}otherwise: approve\n").decide(facts).guard is Guard.WAITING


def test_text_with_a_missing_fact_waits_for_evidence_to_come(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"] = {}
    text = (
        "rules:\n  - name: r\n    when: submission.pace > 0.5\n    hold: 'failed {evidence.survey.failed}'\n"
    )
    assert loaded(text).decide(facts).guard is Guard.WAITING


def test_known_rule_decides_without_waiting_for_evidence(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"] = {}
    text = "rules:\n  - name: r\n    when: submission.pace > 0.5\n    approve:\n"
    assert loaded(text).decide(facts).action == Approve()


def test_rule_on_received_decides_after_the_wait_of_a_source(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"] = {"survey": {"received": False}}
    text = f"rules:\n  - name: silent\n    when: '!evidence.survey.received'\n    hold: No data.\n{FAILED}"
    verdict = loaded(text).decide(facts)
    assert (verdict.rule, verdict.guard, verdict.action) == ("silent", None, Hold("No data."))


@pytest.mark.parametrize(
    "action",
    [
        REJECT,
        "request_return: {reasons: ['{evidence.survey.failed}']}",
        "complete: {code: X, message_to_participant: '{evidence.survey.failed}'}",
        "hold: '{evidence.survey.failed}'",
    ],
)
def test_text_with_a_missing_fact_holds(loaded: LoadText, facts: Facts, action: str) -> None:
    del facts["evidence"]["survey"]["failed"]
    verdict = loaded(f"rules:\n  - name: r\n    when: submission.pace > 0.5\n    {action}\n").decide(facts)
    assert (verdict.guard, verdict.rule, verdict.action) == (Guard.MESSAGE, "r", Hold(verdict.reason))
    assert "evidence.survey.failed is missing" in verdict.reason


def test_text_that_is_empty_when_filled_in_holds(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["note"] = "  "
    action = "request_return: {reasons: ['{evidence.survey.note}']}"
    verdict = loaded(f"rules:\n  - name: r\n    when: submission.pace > 0.5\n    {action}\n").decide(facts)
    assert verdict.guard is Guard.MESSAGE


def test_facts_in_texts_are_written_for_people(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"] |= {"gibberish": 0.5, "note": "n" * 1000}
    text = "{{{submission.pace}}} {evidence.survey.gibberish} {evidence.survey.consented} {now} {evidence.survey.note}"
    action = f"hold: '{text}'"
    verdict = loaded(f"rules:\n  - name: r\n    when: submission.pace > 0.5\n    {action}\n").decide(facts)
    assert verdict.action == Hold("{1} 0.5 true 2026-01-01T10:01:00Z " + "n" * 500)


def test_complete_action_has_all_its_parts(loaded: LoadText, facts: Facts) -> None:
    action = "complete: {code_type: HALF, percentage_of_reward: 50.5, message_to_participant: 'Thanks {submission.id}'}"
    verdict = loaded(f"rules:\n  - name: r\n    when: submission.pace > 0.5\n    {action}\n").decide(facts)
    assert verdict.action == Complete("HALF", None, 50.5, "Thanks sub1")


def test_completion_code_of_digits_stays_text(loaded: LoadText, facts: Facts) -> None:
    verdict = loaded("rules:\n  - name: r\n    when: true\n    complete: {code: 0012}\n").decide(facts)
    assert verdict.action == Complete(code="0012")


def test_tag_and_recheck_are_left_out_under_a_guard(loaded: LoadText, facts: Facts) -> None:
    rule = (
        "  - name: r\n    when: submission.pace > 0.5\n    approve:\n    tag: odd\n    recheck_after: 1h30m\n"
    )
    verdict = loaded(f"rules:\n{rule}").decide(facts)
    assert (verdict.tag, verdict.recheck_after) == ("odd", timedelta(minutes=90))
    del facts["evidence"]["survey"]["failed"]
    verdict = loaded(f"rules:\n{FAILED}{rule}").decide(facts)
    assert (verdict.guard, verdict.tag, verdict.recheck_after) == (Guard.UNDECIDABLE, None, None)


def test_verdict_is_json_and_deterministic(loaded: LoadText, facts: Facts) -> None:
    file = loaded(f"rules:\n{WITHDREW}{FAILED}")
    first, second = file.decide(facts), file.decide(json.loads(json.dumps(facts)))
    assert json.dumps(first.trace, allow_nan=False) == json.dumps(second.trace, allow_nan=False)
    assert first == second


@pytest.mark.parametrize(
    ("when", "result", "decided_by"),
    [
        ("{all: [submission.pace > 0.5, submission.pace > 2.0]}", "not matched", ["submission.pace > 2.0"]),
        ("{any: [submission.pace > 2.0, submission.pace > 0.5]}", "matched", ["submission.pace > 0.5"]),
        ("{none: [submission.pace > 0.5, submission.pace > 2.0]}", "not matched", ["submission.pace > 0.5"]),
        ("{all: [submission.pace > 0.5, stats.z < 0.0]}", "unknown", ["stats.z < 0.0"]),
        (
            "{any: [submission.pace > 2.0, submission.pace > 3.0]}",
            "not matched",
            ["submission.pace > 2.0", "submission.pace > 3.0"],
        ),
    ],
)
def test_trace_names_the_conditions_that_decided(
    loaded: LoadText,
    facts: Facts,
    when: str,
    result: str,
    decided_by: list[str],
) -> None:
    [entry] = loaded(f"rules:\n  - name: r\n    when: {when}\n    approve:\n").decide(facts).trace
    assert (entry["result"], entry["decided_by"]) == (result, decided_by)


def test_statistics_and_history_of_the_participant_are_facts(loaded: LoadText, facts: Facts) -> None:
    facts["stats"] = {"count": 40, "z": -3.5, "fast_outlier": True}
    facts["participant"] = {"submissions": 2, "approved": 1, "rejected": 1, "returned": 0}
    when = "stats.fast_outlier && stats.z < -3.0 && participant.rejected == 1"
    text = f"rules:\n  - name: r\n    when: {when}\n    hold: 'z is {{stats.z}} of {{stats.count}}'\n"
    verdict = loaded(text).decide(facts)
    assert verdict.action == Hold("z is -3.5 of 40")
    assert verdict.trace[0]["values"] == {
        "stats.fast_outlier": True,
        "stats.z": -3.5,
        "participant.rejected": 1,
    }
