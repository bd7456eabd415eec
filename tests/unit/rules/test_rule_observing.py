"""Observed rules (`observe: true`) are evaluated in their place and never decide."""

from collections.abc import Callable
from typing import Any

import pytest

from service.domain.decision import Approve, Guard, Outcome, Verdict
from service.rules import Finding, RuleFile

LoadText = Callable[[str], RuleFile]
CheckText = Callable[[str], list[Finding]]
Facts = dict[str, Any]

LONG = "You missed attention checks, and each of them said in plain words what to answer. Please write to us about it."
ACTIONS = {
    Outcome.APPROVE: "approve:",
    Outcome.REJECT: f"reject: {{category: FAILED_CHECK, message: '{LONG}'}}",
    Outcome.REQUEST_RETURN: "request_return: {reasons: [Please.]}",
    Outcome.COMPLETE: "complete: {code_type: HALF}",
    Outcome.HOLD: "hold: Look at it.",
}


def observed(action: str, when: str = "evidence.survey.failed >= 2") -> str:
    return f"  - name: trial\n    when: {when}\n    {action}\n    observe: true\n"


def decider(action: str = "approve:", when: str = "submission.pace > 0.5") -> str:
    return f"  - name: last\n    when: {when}\n    {action}\n"


def entry(verdict: Verdict) -> dict[str, Any]:
    [found] = [entry for entry in verdict.trace if entry["rule"] == "trial"]
    return found


@pytest.mark.parametrize("outcome", ACTIONS)
def test_observed_rule_is_recorded_without_effect(loaded: LoadText, facts: Facts, outcome: Outcome) -> None:
    facts["evidence"]["survey"]["failed"] = 2
    verdict = loaded(f"rules:\n{observed(ACTIONS[outcome])}otherwise: approve\n").decide(facts)
    assert (verdict.action, verdict.rule, verdict.guard) == (Approve(), None, None)
    assert verdict.reason == "Approved: no rule matched."
    assert verdict.trace == (
        {
            "rule": "trial",
            "result": "matched",
            "values": {"evidence.survey.failed": 2},
            "why": f"evidence.survey.failed was 2. Only observed: it would {outcome.value.replace('_', ' ')}.",
            "conditions": verdict.trace[0]["conditions"],
            "observe": True,
            "would": outcome.value,
        },
    )


@pytest.mark.parametrize(
    ("failed", "result", "why"),
    [
        (0, "not matched", "evidence.survey.failed was 0. Only observed."),
        (None, "unknown", "evidence.survey.failed is missing. Only observed."),
    ],
)
def test_observed_rule_that_does_not_match_would_do_nothing(
    loaded: LoadText, facts: Facts, failed: int | None, result: str, why: str
) -> None:
    facts["evidence"]["survey"]["failed"] = failed
    verdict = loaded(f"rules:\n{observed(ACTIONS[Outcome.REJECT])}otherwise: approve\n").decide(facts)
    assert (verdict.action, verdict.guard) == (Approve(), None)
    found = entry(verdict)
    assert (found["result"], found["why"], found["observe"], found["would"]) == (result, why, True, None)


def test_rule_after_an_observed_one_decides(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["failed"] = 2
    verdict = loaded(f"rules:\n{observed(ACTIONS[Outcome.REJECT])}{decider('hold: Look.')}").decide(facts)
    assert (verdict.proposed, verdict.rule) == (Outcome.HOLD, "last")
    assert [entry["rule"] for entry in verdict.trace] == ["trial", "last"]
    assert "observe" not in verdict.trace[1]


def test_observed_rule_after_the_deciding_one_is_not_evaluated(loaded: LoadText, facts: Facts) -> None:
    verdict = loaded(f"rules:\n{decider()}{observed('hold: Look.', 'submission.pace > 0.5')}").decide(facts)
    assert [entry["rule"] for entry in verdict.trace] == ["last"]


def test_observed_rule_waits_for_no_evidence(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"] = {}
    verdict = loaded(f"rules:\n{observed(ACTIONS[Outcome.REJECT])}{decider()}").decide(facts)
    assert (verdict.action, verdict.rule, verdict.guard) == (Approve(), "last", None)
    assert entry(verdict)["result"] == "unknown"


def test_observed_rule_with_a_missing_fact_in_its_text_holds_nothing(loaded: LoadText, facts: Facts) -> None:
    del facts["evidence"]["survey"]["note"]
    trial = observed("hold: 'Look at {evidence.survey.note}'", "submission.pace > 0.5")
    verdict = loaded(f"rules:\n{trial}{decider()}").decide(facts)
    assert (verdict.action, verdict.guard) == (Approve(), None)
    assert entry(verdict)["would"] == "hold"


def test_observed_rule_gives_no_tag_and_no_timer(loaded: LoadText, facts: Facts) -> None:
    trial = observed("approve:\n    tag: odd\n    recheck_after: 1h", "submission.pace > 0.5")
    verdict = loaded(f"rules:\n{trial}otherwise: approve\n").decide(facts)
    assert (verdict.tag, verdict.recheck_after, verdict.rule) == (None, None, None)


def test_unknown_rule_after_an_observed_one_still_holds(loaded: LoadText, facts: Facts) -> None:
    del facts["evidence"]["survey"]["failed"]
    unknown = "  - name: real\n    when: evidence.survey.failed >= 2\n    hold: Look.\n"
    verdict = loaded(f"rules:\n{observed('approve:')}{unknown}otherwise: approve\n").decide(facts)
    assert verdict.guard is Guard.UNDECIDABLE
    assert verdict.reason == "Held: can't rule out ‘real’: evidence.survey.failed is missing."


def test_rule_with_observe_false_decides(loaded: LoadText, facts: Facts) -> None:
    text = decider("hold: Look.\n    observe: false")
    verdict = loaded(f"rules:\n{text}otherwise: approve\n").decide(facts)
    assert verdict.rule == "last"
    assert "observe" not in verdict.trace[0]


def test_observed_rule_that_always_matches_hides_no_rule(found: CheckText) -> None:
    head = "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]\nrules:\n"
    always = observed("hold: Look.", "'true'")
    assert found(f"{head}{always}{decider()}") == []
    [finding] = found(f"{head}{decider(when='true')}{observed('hold: Look.', 'submission.pace > 0.5')}")
    assert (finding.line, finding.code) == (8, "RUL020")
