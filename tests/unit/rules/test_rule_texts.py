"""Limits of texts and patterns in conditions."""

import pytest

from service.domain.decision import Facts, Guard, Outcome
from service.rules import InvalidRules
from service.rules.facts import LONGEST_TEXT
from service.rules.lint.patterns import LARGEST, size
from tests.unit.rules.conftest import HEAD, CheckText, LoadText

PATTERN = """\
rules:
  - name: gibberish
    when: size(evidence.survey.note) > 3 && evidence.survey.note.matches("(.*)(.*)(.*)x$")
    hold: Look at it.
otherwise: approve
"""
HOLD_WITH_NOTE = 'rules: [{name: all, when: "true", hold: "They wrote {evidence.survey.note}"}]\n'


def when(text: str) -> str:
    return f"{HEAD}rules:\n  - name: first\n    when: {text}\n    hold: Look.\n"


def test_text_of_the_maximum_length_is_read(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["note"] = "a" * LONGEST_TEXT
    assert loaded(PATTERN).decide(facts).action.outcome is Outcome.APPROVE


def test_text_over_the_maximum_length_is_unknown_with_the_reason_in_the_trace(
    loaded: LoadText, facts: Facts
) -> None:
    facts["evidence"]["survey"]["note"] = "a" * (LONGEST_TEXT + 1)
    verdict = loaded(PATTERN).decide(facts)
    assert (verdict.action.outcome, verdict.guard) == (Outcome.HOLD, Guard.UNDECIDABLE)
    assert (
        verdict.reason == "Held: can't rule out ‘gibberish’: evidence.survey.note is over 10,000 characters."
    )
    assert verdict.trace[0]["why"] == "evidence.survey.note is over 10,000 characters."


def test_text_over_the_maximum_length_cannot_be_in_a_message(loaded: LoadText, facts: Facts) -> None:
    facts["evidence"]["survey"]["note"] = "a" * (LONGEST_TEXT + 1)
    verdict = loaded(HOLD_WITH_NOTE).decide(facts)
    assert verdict.guard is Guard.MESSAGE
    assert "evidence.survey.note is over 10,000 characters" in verdict.reason


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 a pair"])
def test_text_that_cannot_be_stored_is_missing(loaded: LoadText, facts: Facts, text: str) -> None:
    facts["evidence"]["survey"]["note"] = text
    assert loaded(PATTERN).decide(facts).trace[0]["why"] == "evidence.survey.note is missing."


@pytest.mark.parametrize(
    ("condition", "column", "text"),
    [
        ("submission.entered_code.matches('(a?){990}z')", 43, "takes too long"),
        ("matches(submission.entered_code, '([^a]{1,30}){30}')", 44, "takes too long"),
        (r"""submission.entered_code.matches('\\pL\\pL\\pL\\pL\\pL')""", 43, "takes too long"),
        (r"""submission.entered_code.matches('a\x7b900}b\x7b900}c\x7b900}')""", 43, "takes too long"),
        ("submission.entered_code.matches(submission.id)", 35, "must be a text in quotes"),
        ("submission.entered_code.matches('a' + 'b')", 35, "must be a text in quotes"),
        ("true && ['a'].exists(x, submission.entered_code.matches('a'))", 59, "inside exists()"),
        ("true && ['a'].exists(x, x == submission.id && (matches(x, 'a')))", 58, "inside exists()"),
    ],
)
def test_costly_pattern_is_refused_at_its_position(
    found: CheckText, condition: str, column: int, text: str
) -> None:
    [finding] = found(when(condition))
    assert (finding.line, finding.column, finding.code) == (10, column, "RUL025")
    assert text in finding.message


@pytest.mark.parametrize(
    "pattern",
    [
        "^.{190,}$",
        r"(?i)\b(\w+\s*){1,50}(lorem|ipsum)\b",
        r"^\p{L}+ \p{L}+$",
        "[^a-z]{3,}",
        "a{0}",
        r"\{900}",
    ],
)
def test_common_pattern_is_accepted(pattern: str) -> None:
    assert size(pattern) <= LARGEST


@pytest.mark.parametrize(
    ("condition", "column"),
    [
        ('evidence.survey.note.matches("^a")', 32),
        ('matches(evidence.survey.note, "^a")', 11),
        ('evidence.survey.note.matches("a") && size(evidence.survey.note) < 9', 32),
        ('{any: [size(evidence.survey.note) < 9, evidence.survey.note.matches("a")]}', 71),
    ],
)
def test_pattern_on_an_unlimited_text_has_a_warning(found: CheckText, condition: str, column: int) -> None:
    [finding] = found(when(condition))
    assert (finding.line, finding.column) == (10, column)
    assert (finding.code, finding.severity) == ("RUL026", "warning")
    assert "size(evidence.survey.note) < 1000 &&" in finding.message


@pytest.mark.parametrize(
    "condition",
    [
        'size(evidence.survey.note) < 1000 && evidence.survey.note.matches("^a")',
        'evidence.survey.note.size() <= 1000 && matches(evidence.survey.note, "^a")',
        '{all: [size(evidence.survey.note) < 9, evidence.survey.note.matches("a")]}',
        'submission.entered_code.matches("^a")',
    ],
)
def test_pattern_on_a_limited_text_has_no_warning(found: CheckText, condition: str) -> None:
    assert found(when(condition)) == []


def test_pattern_warning_does_not_hide_policy_findings(found: CheckText) -> None:
    text = when('evidence.survey.note.matches("^a")').replace(
        "hold: Look.", "request_return: {reasons: [Please return it.]}"
    )
    assert {finding.code for finding in found(text)} == {"RUL026", "POL011"}


def test_file_with_a_costly_pattern_is_not_loaded(loaded: LoadText) -> None:
    with pytest.raises(InvalidRules, match="RUL025"):
        loaded("rules: [{name: a, when: \"submission.id.matches('(a?){999}z')\", approve: }]\n")
