"""Wrong study ids, and impossible values in conditions and in tests."""

from pathlib import Path

import pytest

from service.rules import Finding, check

STUDY = "60aca280709ee40ec37d4885"


def findings(folder: Path, text: str) -> list[Finding]:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return [one for one in check(folder) if one.code in {"RUL027", "RUL028"}]


def condition(folder: Path, source: str) -> list[Finding]:
    text = f"version: 1\nname: n\nstudies: [{STUDY}]\nrules:\n  - name: r\n    when: '{source}'\n    hold: Look.\n"
    return findings(folder, text)


@pytest.mark.parametrize(
    ("written", "severity", "said"),
    [
        (
            f"https://app.prolific.com/researcher/workspaces/studies/{STUDY}/submissions",
            "error",
            f"write {STUDY}",
        ),
        (
            f"https://app.prolific.com/p/5f0c3a1be7d94c0d87654321/studies/{STUDY}?a=b",
            "error",
            f"write {STUDY}",
        ),
        (f"studies/{STUDY}", "error", f"write {STUDY}"),
        ("https://app.prolific.com/researcher", "error", "without the id of a study"),
        (STUDY.upper(), "error", f"has capital letters: write {STUDY}"),
        (STUDY[:22], "error", "has 22 characters"),
        (f"{STUDY}00", "error", "has 26 characters"),
        ('"1234567890123456789012"', "error", "has 22 characters"),
        ("replace-with-your-study-id", "warning", "no study id"),
        ("stroop", "warning", "no study id"),
    ],
)
def test_wrong_study_id_is_reported_with_the_id_in_it(
    tmp_path: Path, written: str, severity: str, said: str
) -> None:
    [found] = findings(tmp_path, f"version: 1\nname: n\nstudies:\n  - {written}\n")
    assert (found.code, found.severity, found.line) == ("RUL028", severity, 4)
    assert said in found.message


@pytest.mark.parametrize("written", [STUDY, '"123456789012345678901234"', "all"])
def test_valid_study_id_has_no_finding(tmp_path: Path, written: str) -> None:
    studies = written if written == "all" else f"[{written}]"
    assert findings(tmp_path, f"version: 1\nname: n\nstudies: {studies}\n") == []


@pytest.mark.parametrize(
    ("source", "severity", "said"),
    [
        ('submission.status == "REJECTED"', "error", 'is always "AWAITING REVIEW"'),
        ('"REJECTED" == submission.status', "error", 'never "REJECTED"'),
        ('submission.status != "APPROVED"', "error", 'never "APPROVED"'),
        ('submission.status == "AWAITING_REVIEW"', "error", 'is always "AWAITING REVIEW"'),
        ('submission.pace > 2.0 && !(submission.status in ["AWAITING REVIEW", "RETURNED"])', "error", '"RETURNED"'),
        ('submission.code_type == "completed"', "warning", 'did you mean "COMPLETED"?'),
        ('"Completed" == submission.code_type', "warning", 'did you mean "COMPLETED"?'),
        ('submission.code_type in ["SCREENED-OUT", "OTHER"]', "warning", 'did you mean "SCREENED_OUT"?'),
        ('submission.code_type == "NO CONSENT"', "warning", 'did you mean "NO_CONSENT"?'),
        ('submission.code_type == "COMPLTED"', "warning", 'did you mean "COMPLETED"?'),
        ('submission.code_type == "none"', "warning", 'did you mean "NONE"?'),
        ('study.status == "active"', "warning", 'did you mean "ACTIVE"?'),
        ('study.status == "RUNNING"', "warning", "it is one of"),
        ('study.id == "60aca"', "warning", "24 digits"),
        ("submission.time_taken == -1", "warning", "submission.time_taken is never negative"),
        ("submission.pace > -0.5", "warning", "submission.pace is never negative"),
    ],
)  # fmt: skip
def test_comparison_with_an_impossible_value_is_reported(
    tmp_path: Path, source: str, severity: str, said: str
) -> None:
    [found] = condition(tmp_path, source)
    assert (found.code, found.severity, found.line) == ("RUL027", severity, 6)
    assert said in found.message


@pytest.mark.parametrize(
    "source",
    [
        'submission.status == "AWAITING REVIEW"',
        'submission.code_type in ["COMPLETED", "HALF_DONE", "COMPLETED_2", "NONE", "UNKNOWN", "SCREENED_OUT_PAYMENT"]',
        'study.status in ["ACTIVE", "PAUSED", "AWAITING REVIEW"]',
        f'study.id == "{STUDY}"',
        'submission.entered_code == "completed"',
        'submission.status.startsWith("A")',
        "submission.time_taken >= 0",
        "stats.z < -3.0 || stats.log_z < -2.5",
    ],
)
def test_comparison_with_a_possible_value_has_no_finding(tmp_path: Path, source: str) -> None:
    assert condition(tmp_path, source) == []


@pytest.mark.parametrize(
    ("code_type", "meant"), [("PARTIAL", "PARTIAL_PAYMENT"), ("completed", "COMPLETED"), ("HALF_PAY", None)]
)
def test_misspelt_code_type_of_an_action_is_a_warning(
    tmp_path: Path, code_type: str, meant: str | None
) -> None:
    text = (
        f"version: 1\nname: n\nstudies: [{STUDY}]\nrules:\n  - name: r\n    when: submission.pace > 2.0\n"
        f"    complete: {{code_type: {code_type}}}\n"
    )
    found = findings(tmp_path, text)
    assert [one.severity for one in found] == ["warning"] * (meant is not None)
    assert all(f"did you mean `{meant}`?" in one.message for one in found)


def given(folder: Path, values: str) -> list[Finding]:
    text = (
        f"version: 1\nname: n\nstudies: [{STUDY}]\nevidence: {{survey: {{from: push, fields: {{score: int}}}}}}\n"
        f"otherwise: approve\ntests:\n  - name: t\n    given: {values}\n    expect: {{outcome: approve}}\n"
    )
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return check(folder)


@pytest.mark.parametrize(
    ("values", "column", "path", "said"),
    [
        ("{submission: {status: REJECTED}}", 34, "submission.status", 'is always "AWAITING REVIEW"'),
        ("{submission: {code_type: COMPLTED}}", 37, "submission.code_type", 'did you mean "COMPLETED"?'),
        ("{submission: {code_type: no-consent}}", 37, "submission.code_type", 'did you mean "NO_CONSENT"?'),
        ("{study: {status: RUNNING}}", 29, "study.status", "it is one of UNPUBLISHED"),
        ("{submission: {time_taken: -5}}", 38, "submission.time_taken", "is never negative"),
        ("{study: {reward: -150}}", 29, "study.reward", "is never negative"),
        ("{stats: {sd: -0.1}}", 25, "stats.sd", "is never negative"),
        ("{participant: {rejected: -1}}", 37, "participant.rejected", "is never negative"),
        ("{codes: [SCREENED_OUT, COMPLTED]}", 35, "codes[1]", 'did you mean "COMPLETED"?'),
    ],
)
def test_given_value_that_never_occurs_is_a_warning_at_its_place(
    tmp_path: Path, values: str, column: int, path: str, said: str
) -> None:
    [found] = given(tmp_path, values)
    place = (found.code, found.severity, found.line, found.column, found.path)
    assert place == ("RUL027", "warning", 8, column, f"tests[0].given.{path}")
    assert said in found.message


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ("{submission: {completed_at: yesterday}}", "RUL008"),
        ("{submission: {completed_at: 2026-02-30T10:00:00Z}}", "RUL008"),
        ("{study: {reward: plenty}}", "RUL007"),
        ("{study: {reward: 1.5}}", "RUL007"),
        ("{submission: {return_requested: maybe}}", "RUL007"),
    ],
)
def test_given_value_of_the_wrong_type_is_an_error(tmp_path: Path, values: str, code: str) -> None:
    [found] = given(tmp_path, values)
    assert (found.code, found.severity, found.line) == (code, "error", 8)


@pytest.mark.parametrize(
    "values",
    [
        "{submission: {status: AWAITING REVIEW, code_type: COMPLETED_2, time_taken: 0, id: one}}",
        "{submission: {code_type: NONE, time_taken: null}, study: {id: mine, status: PAUSED, reward: 0}}",
        "{stats: {z: -3.5, log_z: -4.0}, evidence: {survey: {score: -1}}, codes: [COMPLETED, HALF]}",
    ],
)
def test_given_value_that_may_occur_has_no_finding(tmp_path: Path, values: str) -> None:
    assert given(tmp_path, values) == []
