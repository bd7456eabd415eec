"""The counterfactual: the smallest change of one fact that changes the outcome."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings

from service.domain.decision import Facts, Outcome
from service.rules import RuleFile
from service.rules.counterfactual import Counterfactual, counterfactual
from tests.unit.rules.conftest import LoadText
from tests.unit.rules.test_rule_properties import TYPES, UNHURRIED, known_facts, nested, rule_files

SAMPLES: dict[str, list[Any]] = {
    "int": [0, 1, 2, 3],
    "double": [0.0, 0.4, 0.6, 1, 2.0],
    "bool": [False, True],
    "string": ["", "a", "NONE"],
}
REJECT = (
    "reject: {category: FAILED_CHECK, message: 'You missed {evidence.survey.failed} of the attention checks in our"
    " study. Each of them told you which answer to give. Please write to us if this is a mistake.'}"
)


def rules(*rules: tuple[str, str], otherwise: str = "approve") -> str:
    listed = [f"  - name: r{i}\n    when: {when}\n    {action}\n" for i, (when, action) in enumerate(rules)]
    return f"rules:\n{''.join(listed)}otherwise: {otherwise}\n"


def outcome_of(file: RuleFile, facts: Facts) -> Outcome:
    """Return the outcome of a file for these facts."""
    verdict = file.decide(facts)
    return Outcome.HOLD if file.policy_problem(verdict, facts) else verdict.action.outcome


def applied(facts: Facts, name: str, value: Any) -> Facts:
    changed = copy.deepcopy(facts)
    *groups, last = name.split(".")
    inner = changed
    for group in groups:
        inner = inner.setdefault(group, {})
    inner[last] = value
    return changed


@settings(UNHURRIED, max_examples=150)
@given(rule_files, known_facts.map(nested))
def test_counterfactual_leads_to_its_outcome_when_applied(file: RuleFile, facts: dict[str, Any]) -> None:
    found, before = counterfactual(file, facts), outcome_of(file, facts)
    if found is not None:
        assert found.outcome is not before
        assert outcome_of(file, applied(facts, found.fact, found.value)) is found.outcome
        assert found == counterfactual(file, copy.deepcopy(facts))


@settings(UNHURRIED, max_examples=100)
@given(rule_files, known_facts.map(nested))
def test_counterfactual_is_none_only_if_no_single_fact_changes_the_outcome(
    file: RuleFile, facts: dict[str, Any]
) -> None:
    if counterfactual(file, facts) is None:
        before = outcome_of(file, facts)
        for name, kind in TYPES.items():
            for value in SAMPLES.get(kind.value, []):
                assert outcome_of(file, applied(facts, name, value)) is before, (name, value)


@pytest.mark.parametrize(
    ("condition", "known", "nearest"),
    [
        ("evidence.survey.failed >= 2", {"failed": 5}, ("evidence.survey.failed", 1)),
        ("evidence.survey.failed > 2", {"failed": 5}, ("evidence.survey.failed", 2)),
        ("evidence.survey.failed == 3", {"failed": 3}, ("evidence.survey.failed", 2)),
        (
            "evidence.survey.failed == 0 || evidence.survey.failed > 2",
            {"failed": 0},
            ("evidence.survey.failed", 1),
        ),
        ("evidence.survey.gibberish > -0.2", {"gibberish": 0.5}, ("evidence.survey.gibberish", -0.2)),
        ("evidence.survey.failed * 7 >= 100", {"failed": 90}, ("evidence.survey.failed", 14)),
        ("evidence.survey.consented == false", {"consented": False}, ("evidence.survey.consented", True)),
        ("evidence.survey.gibberish > 0.8", {"gibberish": 0.93}, ("evidence.survey.gibberish", 0.8)),
        ("evidence.survey.gibberish >= 0.8", {"gibberish": 0.93}, ("evidence.survey.gibberish", 0.7999)),
        ("evidence.survey.note == 'bot'", {"note": "bot"}, ("evidence.survey.note", "")),
        ("evidence.survey.note in ['', 'bot']", {"note": "bot"}, ("evidence.survey.note", "other")),
        (
            "submission.code_type == 'UNKNOWN'",
            {"code_type": "UNKNOWN"},
            ("submission.code_type", "COMPLETED"),
        ),
        ("size(evidence.survey.note) >= 0", {}, None),
        ("submission.time_taken < 300", {"time_taken": 100}, ("submission.time_taken", 300)),
        ("submission.pace < 0.3", {"pace": 0.1}, ("submission.pace", 0.3)),
        (
            "double(submission.time_taken) < study.estimated_completion_time * 18.0",
            {"time_taken": 20},
            ("submission.time_taken", 180),
        ),
        (
            "now - submission.completed_at > duration('30s')",
            {},
            ("submission.completed_at", "2026-01-01T10:00:30+00:00"),
        ),
    ],
)
def test_counterfactual_is_the_nearest_boundary_of_a_fact(
    loaded: LoadText, facts: Facts, condition: str, known: dict[str, Any], nearest: tuple[str, Any] | None
) -> None:
    facts["evidence"]["survey"] |= known
    facts["submission"] |= known
    found = counterfactual(loaded(rules((f'"{condition}"', "hold: Look."))), facts)
    assert found == (Counterfactual(*nearest, Outcome.APPROVE) if nearest else None)


def test_counterfactual_prefers_evidence_then_times(loaded: LoadText, facts: Facts) -> None:
    when = "study.reward > 100 && submission.pace < 2.0 && evidence.survey.failed < 1"
    found = counterfactual(loaded(rules((when, "hold: Look."))), facts)
    assert found == Counterfactual("evidence.survey.failed", 1, Outcome.APPROVE)
    without = "study.reward > 100 && submission.pace < 2.0"
    found = counterfactual(loaded(rules((without, "hold: Look."))), facts)
    assert found == Counterfactual("submission.pace", 2.0, Outcome.APPROVE)


def test_counterfactual_gives_a_missing_fact_a_value(loaded: LoadText, facts: Facts) -> None:
    del facts["evidence"]["survey"]["failed"]
    file = loaded(
        rules(("evidence.survey.gibberish > 0.5", "hold: Look."), ("evidence.survey.failed >= 2", REJECT))
    )
    assert file.decide(facts).guard == "undecidable"
    assert counterfactual(file, facts) == Counterfactual("evidence.survey.failed", 0, Outcome.APPROVE)


def test_counterfactual_is_none_for_two_missing_facts(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"] = {"received": True}
    file = loaded(
        rules(("evidence.survey.gibberish > 0.5", "hold: A."), ("evidence.survey.consented", "hold: B."))
    )
    assert counterfactual(file, facts) is None


def test_counterfactual_ignores_guards(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["failed"] = 2
    file = loaded(
        rules(("evidence.survey.failed >= 2", REJECT), ("evidence.survey.failed == 1", "hold: Look."))
    )
    assert counterfactual(file, facts) == Counterfactual("evidence.survey.failed", 1, Outcome.HOLD)
    held = counterfactual(file, facts, besides=Outcome.HOLD)
    assert held == Counterfactual("evidence.survey.failed", 0, Outcome.APPROVE)


def test_counterfactual_ignores_observed_rules(loaded: LoadText, facts: Facts) -> None:
    text = "rules:\n  - name: r\n    when: evidence.survey.failed >= 2\n    hold: Look.\n    observe: true\n"
    assert counterfactual(loaded(text + "otherwise: approve\n"), facts) is None
