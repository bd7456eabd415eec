"""Numbers for people, in reasons and in messages to participants."""

import pytest

from service.domain.decision import Facts, Reject
from service.rules.file_reading import read_file
from service.rules.format.findings import Code, Findings
from service.rules.rulefile import RuleFile
from service.rules.templates import Template, written

FILE = """\
version: 1
name: A study
studies: all
evidence:
  survey: {{from: push, fields: {{score: double, note: string}}}}
rules:
  - name: low
    when: evidence.survey.score < 0.0
    reject:
      category: OTHER
      message: >-
        Your answers have a score of {field}, which is below what we accept. If you think that this is a mistake,
        please write to us and we look at them again.
otherwise: approve
"""


def read(field: str) -> tuple[RuleFile | None, Findings]:
    findings = Findings("a.yaml")
    file, _ = read_file("a.yaml", FILE.format(field=field).encode(), findings)
    return file, findings


def facts(score: float) -> Facts:
    return {"evidence": {"survey": {"received": True, "score": score}}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-3.4176543210987, "-3.42"),
        (0.5, "0.5"),
        (2, "2"),
        (1234567, "1234567"),
        (600.0, "600"),
        (123456.0, "123456"),
        (1234.5, "1230"),
        (0.000123456, "0.000123"),
        (0.0000123456, "1.23e-05"),
        (1e300, "1e+300"),
        (True, "true"),
        ("-3.4176", "-3.4176"),
    ],
)
def test_written_doubles_have_three_significant_digits_and_whole_numbers_are_exact(
    value: float | str, text: str
) -> None:
    assert written(value) == text


def test_numbers_are_rounded_in_reason_and_message_but_not_in_the_trace() -> None:
    file, _ = read("{evidence.survey.score}")
    assert file is not None
    verdict = file.decide(facts(-3.4176543210987))
    assert verdict.reason == "Rejected by ‘low’: evidence.survey.score was -3.42."
    assert isinstance(verdict.action, Reject)
    assert "a score of -3.42, which" in verdict.action.message
    assert verdict.trace[0]["values"] == {"evidence.survey.score": -3.4176543210987}


def test_format_in_a_placeholder_sets_the_number_of_decimals() -> None:
    file, _ = read("{evidence.survey.score:.1f}")
    assert file is not None
    action = file.decide(facts(-3.4176)).action
    assert isinstance(action, Reject)
    assert "a score of -3.4, which" in action.message


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("{evidence.survey.score:5}", "write the number of decimals as `{evidence.survey.score:.1f}`"),
        ("{evidence.survey.score:}", "write the number of decimals as `{evidence.survey.score:.1f}`"),
        ("{evidence.survey.note:.1f}", "decimals are for numbers, evidence.survey.note is of type string"),
    ],
)
def test_invalid_format_in_a_placeholder_is_reported_with_a_valid_one(field: str, message: str) -> None:
    file, findings = read(field)
    assert file is None
    [finding] = findings.found
    assert message in finding.message
    assert finding.code == Code.TEMPLATE


def test_colon_outside_of_a_placeholder_is_kept() -> None:
    assert Template.parse("Note: {now} {{a:b}}").own_text == "Note:  {a:b}"
