"""The example rule files in ``rules/``, which the demo uses."""

from pathlib import Path
from typing import Any

import pytest

from service.domain.decision import Guard, Outcome, Reject
from service.rules import RuleBook, check, load, run, unreached

RULES = Path(__file__).parents[3] / "rules"
STROOP, TWO_PART = "60aca280709ee40ec37d4885", "61b0f1c9a5d3e24c7f8a1b02"

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return load(RULES)


def test_example_rules_have_no_findings() -> None:
    """Only the placeholder of the study id in the template is reported."""
    [placeholder] = check(RULES)
    assert (placeholder.file, placeholder.code) == (str(RULES / "template.yaml"), "RUL028")
    assert placeholder.severity == "warning"


def test_example_rules_pass_their_tests_with_full_coverage(book: RuleBook) -> None:
    for file in book.files:
        results = run(file)
        assert [result.case.name for result in results if not result.ok] == []
        assert unreached(file, results) == ()


@pytest.mark.parametrize(
    ("survey", "submission", "outcome", "rule"),
    [
        ({}, {}, Outcome.APPROVE, None),
        ({"consented": False, "attention_failed": 3}, {}, Outcome.REQUEST_RETURN, "consent withdrawn"),
        (
            {"finished": False},
            {"code_type": "NONE"},
            Outcome.REQUEST_RETURN,
            "neither finished nor entered a code",
        ),
        ({}, {"code_type": "NONE"}, Outcome.APPROVE, None),
        ({"attention_failed": 1}, {}, Outcome.APPROVE, None),
        ({"attention_failed": 2}, {}, Outcome.REJECT, "failed two attention checks"),
        ({}, {"code_type": "UNKNOWN", "entered_code": "C0MPLTE"}, Outcome.HOLD, "unknown code"),
        ({"gibberish": 0.8}, {}, Outcome.HOLD, "answers that make no sense"),
        ({}, {"pace": 4.5}, Outcome.APPROVE, "slow reader, keep out of the analysis"),
        ({}, {"pace": 0.3}, Outcome.APPROVE, "hurried but clean"),
        ({"attention_failed": 1}, {"pace": 0.1}, Outcome.APPROVE, None),
    ],
)
def test_survey_example_decides_as_documented(
    book: RuleBook,
    facts: Facts,
    survey: Facts,
    submission: Facts,
    outcome: Outcome,
    rule: str | None,
) -> None:
    file = book.file_for(STROOP)
    assert file
    clean = {"received": True, "attention_failed": 0, "consented": True, "finished": True, "gibberish": 0.0}
    facts["evidence"] = {"survey": clean | survey}
    facts["submission"] |= submission
    verdict = file.decide(facts)
    assert (verdict.action.outcome, verdict.rule, verdict.guard) == (outcome, rule, None)


def test_survey_example_rejects_no_short_survey_for_two_failed_checks(book: RuleBook, facts: Facts) -> None:
    file = book.file_for(STROOP)
    assert file
    clean = {"received": True, "attention_failed": 2, "consented": True, "finished": True, "gibberish": 0.0}
    facts["evidence"] = {"survey": clean}
    facts["study"]["estimated_completion_time"] = 4
    assert file.decide(facts).action.outcome is Outcome.APPROVE


@pytest.mark.parametrize(
    ("task", "outcome", "rule"),
    [
        ({}, Outcome.APPROVE, None),
        ({"consented": False}, Outcome.REQUEST_RETURN, "consent withdrawn"),
        ({"screened_out": True, "parts_done": 0}, Outcome.COMPLETE, "screened out"),
        ({"screened_out": True, "attention_failed": 2}, Outcome.COMPLETE, "screened out"),
        ({"attention_failed": 2}, Outcome.REJECT, "failed two attention checks"),
        ({"parts_done": 1, "attention_failed": 2}, Outcome.COMPLETE, "half done"),
        ({"parts_done": 0}, Outcome.REQUEST_RETURN, "nothing done"),
    ],
)
def test_two_part_example_decides_as_documented(
    book: RuleBook,
    facts: Facts,
    task: Facts,
    outcome: Outcome,
    rule: str | None,
) -> None:
    file = book.file_for(TWO_PART)
    assert file
    done = {
        "received": True,
        "parts_done": 2,
        "screened_out": False,
        "consented": True,
        "attention_failed": 0,
    }
    facts["evidence"] = {"task": done | task}
    verdict = file.decide(facts)
    assert (verdict.action.outcome, verdict.rule, verdict.guard) == (outcome, rule, None)


@pytest.mark.parametrize("study", [STROOP, TWO_PART])
def test_example_rules_hold_without_evidence(book: RuleBook, facts: Facts, study: str) -> None:
    file = book.file_for(study)
    assert file
    facts["evidence"] = {}
    assert file.decide(facts).guard is Guard.WAITING
    facts["evidence"] = {source: {"received": False} for source in file.evidence}
    assert file.decide(facts).guard is Guard.UNDECIDABLE


def test_example_rules_reject_nothing_that_policy_forbids(book: RuleBook) -> None:
    rejections = [
        rule.plan.action for file in book.files for rule in file.rules if isinstance(rule.plan.action, Reject)
    ]
    assert {rejection.category for rejection in rejections} == {"FAILED_CHECK"}


def test_template_holds_a_very_fast_submission(book: RuleBook, facts: Facts) -> None:
    file = book.file_for("replace-with-your-study-id")
    assert file
    assert file.decide(facts).action.outcome is Outcome.APPROVE
    facts["submission"]["pace"] = 0.2
    assert file.decide(facts).action.outcome is Outcome.HOLD
