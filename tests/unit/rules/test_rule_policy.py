"""Findings about Prolific's policy, each at its position."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.domain.decision import Reject
from service.rules import ADVICE, Finding, Policy, check, load

CheckText = Callable[[str], list[Finding]]

HEAD = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  s:
    from: push
    fields:
      attention_failed: int
      imc_passed: bool
      one_check_failed: bool
      other_check_failed: bool
      gibberish: double
      consented: bool
      withdrew: bool
      screened_out: bool
      screening_passed: bool
      crashed: bool
      technical_error: bool
      comprehension_failed: int
      comprehension_passed: bool
      authenticity_low: bool
      finished: bool
      page_seconds: double
      too_fast: bool
      status: string
rules:
"""
MESSAGE = (
    "You missed {evidence.s.attention_failed} of our attention checks. " + "Please write to us about it. " * 3
)
S = "evidence.s"


def reject(when: str, category: str = "FAILED_CHECK", message: str = MESSAGE, more: str = "") -> str:
    """Return a file with `when` in line 28, its value in column 11, the category in line 30, the message in line 31."""
    action = f"reject:\n      category: {category}\n      message: '{message}'\n{more}"
    return f"{HEAD}  - name: r\n    when: {when}\n    {action}"


def codes(findings: list[Finding]) -> list[str]:
    assert all(finding.severity == "warning" for finding in findings), findings
    return sorted(finding.code for finding in findings)


AGAINST_POLICY = [
    ("POL001", f"{S}.attention_failed >= 1", "FAILED_CHECK"),
    ("POL001", f"{S}.attention_failed > 0", "FAILED_CHECK"),
    ("POL001", f"0 < {S}.attention_failed", "FAILED_CHECK"),
    ("POL001", f"{S}.attention_failed == 1", "FAILED_INSTRUCTIONS"),
    ("POL001", f"{S}.imc_passed == false", "FAILED_CHECK"),
    ("POL001", f"'!{S}.imc_passed'", "FAILED_CHECK"),
    ("POL001", f"'!({S}.attention_failed < 1)'", "FAILED_CHECK"),
    ("POL001", f"{{none: [{S}.attention_failed < 1]}}", "FAILED_CHECK"),
    ("POL001", f"{S}.one_check_failed || {S}.other_check_failed", "FAILED_CHECK"),
    ("POL001", f"{{any: [{S}.attention_failed >= 2, {S}.one_check_failed]}}", "FAILED_CHECK"),
    ("POL001", f"{S}.attention_failed >= 1 && study.estimated_completion_time <= 5.0", "FAILED_CHECK"),
    ("POL002", "submission.pace < 0.3", "TOO_QUICKLY"),
    ("POL002", "submission.time_taken < 60", "TOO_QUICKLY"),
    ("POL002", "submission.completed_at - submission.started_at < duration('2m')", "TOO_QUICKLY"),
    ("POL002", "duration('2m') > now - submission.started_at", "TOO_QUICKLY"),
    ("POL002", "stats.z < -3.0", "TOO_QUICKLY"),
    ("POL002", "stats.z < -2.0 && stats.count >= 30", "TOO_QUICKLY"),
    ("POL002", "stats.z < -3.0 && stats.count >= 10", "TOO_QUICKLY"),
    ("POL002", "double(submission.time_taken) < stats.mean - 3.0 * stats.sd", "TOO_QUICKLY"),
    ("POL002", "study.estimated_completion_time * 6.0 > double(submission.time_taken)", "TOO_QUICKLY"),
    ("POL002", f"{S}.page_seconds < 10.0", "TOO_QUICKLY"),
    ("POL002", f"{S}.too_fast", "TOO_QUICKLY"),
    ("POL002", f"{S}.finished && submission.pace < 0.3", "TOO_QUICKLY"),
    ("POL003", "submission.code_type == 'NONE'", "NO_DATA"),
    ("POL003", "submission.code_type == 'NONE'", "NO_CODE"),
    ("POL003", "submission.code_type in ['NONE', 'UNKNOWN']", "BAD_CODE"),
    ("POL003", "submission.code_type != 'COMPLETED'", "OTHER"),
    ("POL003", f"submission.code_type == 'UNKNOWN' && {S}.finished", "OTHER"),
    ("POL003", "submission.entered_code == 'X'", "OTHER"),
    ("POL004", f"{S}.received == false", "NO_DATA"),
    ("POL004", f"'!{S}.received'", "NO_DATA"),
    ("POL005", f"{S}.screened_out", "OTHER"),
    ("POL005", f"{S}.screening_passed == false", "OTHER"),
    ("POL005", f"{S}.status == 'screened out'", "OTHER"),
    ("POL006", f"{S}.consented == false", "OTHER"),
    ("POL006", f"'!{S}.consented && {S}.attention_failed > 3'", "FAILED_CHECK"),
    ("POL006", f"{S}.withdrew", "OTHER"),
    ("POL006", f"{S}.status in ['withdrew', 'lost']", "OTHER"),
    ("POL007", f"{S}.crashed", "OTHER"),
    ("POL007", f"{S}.technical_error == true", "OTHER"),
    ("POL007", f"{S}.gibberish > 0.5", "UNSUPP_DEVICE"),
    ("POL008", f"{S}.comprehension_failed >= 2", "FAILED_CHECK"),
    ("POL008", f"{S}.comprehension_passed == false", "FAILED_INSTRUCTIONS"),
    ("POL010", f"{S}.gibberish > 0.5", "FAILED_CHECK"),
    ("POL010", f"{S}.attention_failed >= 2", "NO_DATA"),
    ("POL010", "stats.fast_outlier", "LOW_EFFORT"),
    ("POL012", "submission.pace > 4.0", "TOO_SLOWLY"),
    ("POL012", f"{S}.page_seconds > 900.0", "OTHER"),
    ("POL012", f"{S}.finished == false", "INCOMP_LONGITUDINAL"),
    ("POL013", "participant.rejected > 2", "OTHER"),
    ("POL013", "study.reward > 3", "OTHER"),
    ("POL013", "'true'", "OTHER"),
]


@pytest.mark.parametrize(("code", "when", "category"), AGAINST_POLICY)
def test_rule_against_policy_has_a_warning(found: CheckText, code: str, when: str, category: str) -> None:
    findings = found(reject(when, category))
    assert codes(findings) == [code]
    assert findings[0].line in (28, 30)


WITHIN_POLICY = [
    (f"{S}.attention_failed >= 2", "FAILED_CHECK"),
    (f"{S}.attention_failed > 1 && {S}.consented && {S}.screened_out == false", "FAILED_CHECK"),
    (f"{S}.attention_failed >= 1 && study.estimated_completion_time < 5.0", "FAILED_CHECK"),
    (f"{{all: [{S}.one_check_failed, study.estimated_completion_time < 4.5]}}", "FAILED_CHECK"),
    (f"{S}.one_check_failed && {S}.other_check_failed", "FAILED_CHECK"),
    (f"{S}.attention_failed >= 1 && {S}.gibberish > 0.5", "LOW_EFFORT"),
    ("stats.fast_outlier", "TOO_QUICKLY"),
    ("stats.z < -3.0 && stats.count >= 30", "TOO_QUICKLY"),
    ("double(submission.time_taken) < stats.mean - 3.0 * stats.sd && stats.count > 29", "TOO_QUICKLY"),
    ("stats.mean - 3.0 * stats.sd > double(submission.time_taken) && 30 <= stats.count", "TOO_QUICKLY"),
    (f"{S}.gibberish > 0.5 && submission.pace < 0.3", "LOW_EFFORT"),
    (f"submission.code_type == 'NONE' && {S}.finished == false", "NO_DATA"),
    (f"submission.code_type == 'COMPLETED' && {S}.gibberish > 0.9", "LOW_EFFORT"),
    (f"{S}.received && {S}.gibberish > 0.5", "MALINGERING"),
    (f"{S}.withdrew == false && {S}.crashed == false && {S}.gibberish > 0.5", "OTHER"),
    (f"{S}.comprehension_passed && {S}.comprehension_failed < 2 && {S}.gibberish > 0.5", "OTHER"),
    (f"{S}.authenticity_low", "OTHER"),
]


@pytest.mark.parametrize(("when", "category"), WITHIN_POLICY)
def test_rule_within_policy_has_no_warning(found: CheckText, when: str, category: str) -> None:
    assert found(reject(when, category)) == []


def test_every_policy_code_has_an_example_and_a_correction() -> None:
    shown = {code for code, _, _ in AGAINST_POLICY} | {"POL009", "POL011", "POL014"}
    assert shown == set(Policy) == set(ADVICE)
    assert all(advice.why and advice.instead for advice in ADVICE.values())


@pytest.mark.parametrize(
    "message", ["You did badly. " * 9, "You did badly, {submission.participant_id}. " * 9, "{now} no. " * 30]
)
def test_message_without_evidence_has_a_warning(found: CheckText, message: str) -> None:
    [finding] = found(reject(f"{S}.attention_failed >= 2", message=message))
    assert (finding.code, finding.line, finding.column) == ("POL009", 31, 16)
    assert finding.path == "rules[0].reject.message"


@pytest.mark.parametrize(
    "message", ["You missed both attention checks. " * 4, "The check on page 7 asked for the word blue. " * 3]
)
def test_message_with_evidence_in_words_has_no_warning(found: CheckText, message: str) -> None:
    assert found(reject(f"{S}.attention_failed >= 2 && {S}.one_check_failed", message=message)) == []


def test_request_to_return_without_recheck_after_has_a_warning(found: CheckText) -> None:
    text = (
        f"{HEAD}  - name: r\n    when: {S}.consented == false\n    request_return: {{reasons: [Please.]}}\n"
    )
    [finding] = found(text)
    assert (finding.code, finding.line, finding.column) == ("POL011", 29, 5)
    assert finding.path == "rules[0].request_return"
    assert found(f"{text}    recheck_after: 7d\n") == []


def test_policy_finding_has_the_position_of_its_condition(found: CheckText) -> None:
    when = f"\n      any:\n        - {S}.attention_failed >= 2\n        - {S}.attention_failed >= 3 ||\n          {S}.crashed"
    [finding] = found(reject(when))
    assert (finding.line, finding.column, finding.code) == (32, 11, "POL007")
    assert finding.path == "rules[0].when.any[1]"


def test_policy_checks_conditions_of_rejections_only(found: CheckText) -> None:
    text = f"{HEAD}  - name: r\n    when: submission.pace < 0.2 || {S}.received == false\n    hold: Look.\n"
    assert found(text) == []


def test_rule_with_errors_has_no_policy_findings(found: CheckText) -> None:
    assert [finding.code for finding in found(reject(f"{S}.crashed", "OTER"))] == ["RUL008"]


def test_file_with_warnings_loads_and_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(reject(f"{S}.crashed", "OTHER"), encoding="utf-8")
    book = load(path)
    assert len(book.files) == 1
    assert [str(finding) for finding in book.warnings] == [
        f"{path}:28:11: POL007 warning rule ‘r’, when: {ADVICE[Policy.TECHNICAL]}"
    ]
    assert book.allowed == ()


def test_allowed_finding_is_listed_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    more = "    allow: [POL007]\n    because: The crash\n      was their own doing.\n"
    path.write_text(reject(f"{S}.crashed", "OTHER", more=more), encoding="utf-8")
    book = load(path)
    [finding] = book.allowed
    assert (finding.severity, finding.code, book.warnings) == ("allowed", "POL007", ())
    assert finding.message.endswith("(allowed: The crash was their own doing.)")
    assert book.files[0].rules[0].allow == {"POL007"}
    assert check(path) == [finding]


def test_needless_allow_has_a_warning(found: CheckText) -> None:
    more = "    allow: [POL007, POL001]\n    because: I say so.\n"
    findings = found(reject(f"{S}.crashed", "OTHER", more=more))
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("POL007", "allowed"),
        ("RUL022", "warning"),
    ]
    assert (findings[1].line, findings[1].column) == (32, 21)


@pytest.mark.parametrize(
    ("category", "when", "allow", "outlier", "withheld"),
    [
        ("TOO_QUICKLY", "submission.pace < 5.0", "", None, True),
        ("TOO_QUICKLY", "submission.pace < 5.0", "", False, True),
        ("TOO_QUICKLY", "submission.pace < 5.0", "", True, False),
        ("TOO_QUICKLY", "submission.pace < 5.0", "POL002", None, False),
        ("NO_CODE", "submission.pace < 5.0", "", None, True),
        ("BAD_CODE", "submission.pace < 5.0", "", None, True),
        ("BAD_CODE", "submission.pace < 5.0", "POL003", None, False),
        ("OTHER", "submission.pace < 5.0", "", None, False),
    ],
)
def test_policy_holds_at_run_time_what_no_rule_allows(
    tmp_path: Path,
    facts: dict[str, dict[str, object]],
    category: str,
    when: str,
    allow: str,
    outlier: bool | None,
    withheld: bool,
) -> None:
    path = tmp_path / "a.yaml"
    more = f"    allow: [{allow}]\n    because: We know.\n" if allow else ""
    path.write_text(reject(when, category, "You did it so: " * 9, more), encoding="utf-8")
    file = load(path).files[0]
    facts["stats"] = {} if outlier is None else {"fast_outlier": outlier}
    verdict = file.decide(facts)
    assert isinstance(verdict.action, Reject)
    assert (file.policy_problem(verdict, facts) is not None) is withheld


def test_policy_checks_observed_rules(found: CheckText) -> None:
    decides, observes = reject(f"{S}.crashed"), reject(f"{S}.crashed", more="    observe: true\n")
    assert codes(found(observes)) == codes(found(decides)) != []
