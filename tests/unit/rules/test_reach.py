"""Rules that never decide because of earlier rules."""

import pytest

from service.rules import Finding
from tests.unit.rules.conftest import HEAD, CheckText

SCORE = "evidence.survey.gibberish"
FAILED = "evidence.survey.failed"


def reached(found: CheckText, *rules: str, more: str = "") -> list[Finding]:
    listed = "".join(
        f"  - name: r{index}\n    when: {when}\n    hold: Look.\n{more}" for index, when in enumerate(rules)
    )
    text = f"{HEAD}rules:\n{listed}otherwise: approve\n"
    return [one for one in found(text) if one.code in {"RUL030", "RUL031", "RUL032", "RUL033"}]


@pytest.mark.parametrize(
    ("rules", "code", "message"),
    [
        (
            [f"{FAILED} >= 1", f"{FAILED} >= 2"],
            "RUL030",
            "with evidence.survey.failed 2 ‘r0’ decides before it",
        ),
        ([f"{FAILED} > 3 && {FAILED} < 2"], "RUL030", "no value of evidence.survey.failed makes it true"),
        ([f"{FAILED} >= 2", "study.reward > 1", f"{FAILED} >= 2"], "RUL032", "has the condition of ‘r0’"),
        (
            [f"{FAILED} >= 2", f"{FAILED} < 2", "study.reward > 1"],
            "RUL031",
            "always matches where no rule before it does",
        ),
        ([f"{SCORE} < 0.3", f"{SCORE} > 0.3"], "RUL033", "exactly 0.3 neither ‘r0’ nor this rule decides"),
        (
            ["submission.code_type == 'NONE'", "submission.code_type == 'NONE' && study.reward > 5"],
            "RUL030",
            "‘r0’ decides before it",
        ),
        (["{any: [evidence.survey.consented, study.reward > 1]}", "study.reward > 2"], "RUL030", "reward 3"),
    ],
)
def test_rule_that_cannot_decide_is_reported_with_an_example(
    found: CheckText, rules: list[str], code: str, message: str
) -> None:
    [finding] = reached(found, *rules)
    assert (finding.code, finding.severity) == (code, "warning")
    assert message in finding.message


@pytest.mark.parametrize(
    "rules",
    [
        [f"{FAILED} >= 2", f"{FAILED} >= 1"],
        [f"{FAILED} >= 2", f"{FAILED} < 2"],
        [f"{SCORE} < 0.3", f"{SCORE} >= 0.3"],
        [f"{SCORE} < 0.3", f"{SCORE} > 0.5"],
        [f"{FAILED} + 1 >= 1", f"{FAILED} >= 1"],
        ["evidence.survey.note == 'a'", "evidence.survey.note != 'a' && evidence.survey.failed > 1"],
        [f"{FAILED} >= 1 && study.reward > 5", f"{FAILED} >= 2"],
        ["stats.fast_outlier", "stats.fast_outlier && stats.count > 30", "stats.count > 30"][::2],
    ],
)
def test_rule_that_can_decide_has_no_finding(found: CheckText, rules: list[str]) -> None:
    assert reached(found, *rules) == []


def test_observed_rule_makes_no_other_rule_unreachable(found: CheckText) -> None:
    assert reached(found, f"{FAILED} >= 1", f"{FAILED} >= 2", more="    observe: true\n") == []
