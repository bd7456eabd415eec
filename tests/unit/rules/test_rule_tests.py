"""Tests in rule files: given facts, expectations, and results."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from service.rules import CaseResult, Finding, RuleFile, junit_xml, run, unreached

LoadText = Callable[[str], RuleFile]
CheckText = Callable[[str], list[Finding]]

HEAD = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {failed: int, gibberish: double, consented: bool, note: string}
"""
RULES = """\
rules:
  - name: withdrew
    when: evidence.survey.consented == false
    request_return: {reasons: [You withdrew your consent.]}
    recheck_after: 7d
  - name: failed
    when: evidence.survey.failed >= 2
    reject:
      category: FAILED_CHECK
      message: >-
        You missed {evidence.survey.failed} of the attention checks. Each asked for one answer in plain words.
        Please write to us if you think this is wrong.
  - name: half
    when: submission.code_type == "HALF_DONE"
    complete: {code_type: PARTIAL_PAYMENT, message_to_participant: Thanks.}
  - name: slow
    when: submission.pace > 4.0
    approve:
    tag: slow
otherwise: approve
"""
CLEAN = "evidence: {survey: {failed: 0, consented: true}}"


def case(given: str, expect: str) -> str:
    return f"{RULES}tests:\n  - name: a test\n    given: {{{given}}}\n    expect: {{{expect}}}\n"


def came(results: tuple[CaseResult, ...]) -> dict[str, Any]:
    [result] = results
    return result.came


HOLDING = [
    (CLEAN, "outcome: approve, rule: null, tag: null, guard: null, category: null, undecidable: false"),
    ("evidence: {survey: {consented: false}}", "outcome: request_return, message: You withdrew"),
    (
        "evidence: {survey: {failed: 2, consented: true}}",
        "outcome: reject, rule: failed, category: FAILED_CHECK, message: You missed 2 of, reason: failed was 2",
    ),
    (f"{CLEAN}, submission: {{code_type: HALF_DONE}}", "outcome: complete, rule: half, message: Thanks"),
    (f"{CLEAN}, submission: {{pace: 4.5}}", "rule: slow, tag: slow"),
    ("", "outcome: hold, undecidable: true, guard: undecidable, reason: can't rule out"),
    ("evidence: {survey: {received: null}}", "guard: waiting, undecidable: false, reason: Waiting for"),
    ("evidence: {survey: null}", "undecidable: true"),
    ("evidence: {survey: {failed: 0, consented: null}}", "undecidable: true"),
    (
        f"{CLEAN}, submission: {{code_type: HALF_DONE}}, codes: [OTHER_CODE]",
        "outcome: hold, rule: half, guard: no_such_code, reason: PARTIAL_PAYMENT",
    ),
    (f"{CLEAN}, submission: {{code_type: HALF_DONE}}, codes: []", "guard: no_such_code"),
    (f"{CLEAN}, submission: {{code_type: HALF_DONE}}, codes: [PARTIAL_PAYMENT]", "guard: null"),
]


@pytest.mark.parametrize(("given", "expect"), HOLDING)
def test_rule_test_passes_if_all_expectations_are_met(loaded: LoadText, given: str, expect: str) -> None:
    [result] = run(loaded(case(given, expect)))
    assert result.failures == ()
    assert result.ok


@pytest.mark.parametrize(
    ("expect", "key", "expected", "actual"),
    [
        ("outcome: reject", "outcome", "reject", "approve"),
        ("rule: failed", "rule", "failed", None),
        ("reason: too slow", "reason", "too slow", "Approved: no rule matched."),
        ("message: You missed", "message", "You missed", None),
        ("category: OTHER", "category", "OTHER", None),
        ("tag: slow", "tag", "slow", None),
        ("guard: waiting", "guard", "waiting", None),
        ("undecidable: true", "undecidable", True, False),
    ],
)
def test_failed_rule_test_has_expected_and_actual_values(
    loaded: LoadText, expect: str, key: str, expected: object, actual: object
) -> None:
    [result] = run(loaded(case(CLEAN, expect)))
    [failure] = result.failures
    assert (failure.key, failure.expected, failure.came) == (key, expected, actual)


def test_fact_that_is_not_given_has_its_default(loaded: LoadText) -> None:
    [result] = run(loaded(f"{RULES}tests: [{{name: t, expect: {{outcome: hold}}}}]\n"))
    assert result.facts == {
        "submission": {
            "id": "submission",
            "participant_id": "participant",
            "status": "AWAITING REVIEW",
            "code_type": "COMPLETED",
            "return_requested": False,
            "study_id": "60aca280709ee40ec37d4885",
            "time_taken": 600,
            "pace": 1.0,
            "completed_at": "2026-01-01T10:00:00+00:00",
            "started_at": "2026-01-01T09:50:00+00:00",
            "entered_code": "C0DE1234",
        },
        "study": {
            "name": "Study",
            "status": "ACTIVE",
            "estimated_completion_time": 10.0,
            "maximum_allowed_time": 60.0,
            "reward": 150,
            "total_available_places": 100,
            "id": "60aca280709ee40ec37d4885",
        },
        "participant": {"submissions": 0, "approved": 0, "rejected": 0, "returned": 0},
        "evidence": {"survey": {"received": False}},
        "now": "2026-01-01T10:01:00+00:00",
    }


@pytest.mark.parametrize(
    ("given", "submission"),
    [
        ("submission: {time_taken: 120}", {"pace": 0.2, "started_at": "2026-01-01T09:58:00+00:00"}),
        ("submission: {pace: 4.5}", {"time_taken": 2700, "started_at": "2026-01-01T09:15:00+00:00"}),
        ("study: {estimated_completion_time: 5}", {"time_taken": 300, "pace": 1.0}),
        ("submission: {time_taken: 60, pace: 3}", {"time_taken": 60, "pace": 3.0}),
        ("submission: {completed_at: 2026-02-01T00:00:00Z}", {"started_at": "2026-01-31T23:50:00+00:00"}),
        ("submission: {return_requested_at: 2026-01-01T10:00:30Z}", {"return_requested": True}),
        ("submission: {entered_code: 0123}", {"entered_code": "0123"}),
        ("submission: {entered_code: ''}", {"entered_code": ""}),
    ],
)
def test_times_and_pace_are_computed_from_given_facts(
    loaded: LoadText, given: str, submission: dict[str, object]
) -> None:
    [result] = run(loaded(case(given, "outcome: hold")))
    assert submission.items() <= result.facts["submission"].items()


def test_fact_given_as_null_is_missing(loaded: LoadText) -> None:
    given = "submission: {completed_at: null, pace: null}, participant: {approved: ~}, study: {reward: null}"
    [result] = run(loaded(case(given, "outcome: hold")))
    assert "completed_at" not in result.facts["submission"]
    assert "pace" not in result.facts["submission"]
    assert "approved" not in result.facts["participant"]
    assert "reward" not in result.facts["study"]


def test_entered_code_is_missing_for_code_type_none(loaded: LoadText) -> None:
    [result] = run(loaded(case("submission: {code_type: NONE}", "outcome: hold")))
    assert "entered_code" not in result.facts["submission"]


def test_statistics_and_now_can_be_given(loaded: LoadText) -> None:
    given = "stats: {count: 40, z: -3, fast_outlier: true}, now: 2026-01-02T00:00:00Z"
    [result] = run(loaded(case(given, "outcome: hold")))
    assert result.facts["stats"] == {"count": 40, "z": -3.0, "fast_outlier": True}
    assert result.facts["now"] == "2026-01-02T00:00:00Z"


def test_rejection_that_policy_holds_is_held_in_rule_tests(loaded: LoadText) -> None:
    text = RULES.replace("FAILED_CHECK", "TOO_QUICKLY")
    given = "{evidence: {survey: {failed: 2, consented: true}}}"
    tests = f"tests: [{{name: t, given: {given}, expect: {{outcome: hold, rule: failed, guard: policy}}}}]\n"
    assert run(loaded(text + tests))[0].failures == ()


# The test's name stands in line 30, `given` in line 31 and `expect` in line 32; both values from column 13/14.
WRONG = [
    (case("submission: {pac: 1}", "rule: null"), "RUL012", "did you mean `submission.pace`?"),
    (case("submission: {pace: fast}", "rule: null"), "RUL007", "a number"),
    (case("submission: {pace: .inf}", "rule: null"), "RUL007", "a number"),
    (case("submission: {pace: 1e999}", "rule: null"), "RUL008", "from -inf to inf"),
    (case("submission: {time_taken: 1.5}", "rule: null"), "RUL007", "a whole number"),
    (case("submission: {return_requested: yes}", "rule: null"), "RUL007", "true or false"),
    (case("submission: {completed_at: soon}", "rule: null"), "RUL008", "2026-01-31T09:00:00Z"),
    (case("submission: {status: true}", "rule: null"), "RUL007", "must be a text"),
    (case("submission: fast", "rule: null"), "RUL007", "must be a mapping"),
    (case("now: 2026-01-01", "rule: null"), "RUL008", "is no time"),
    (case("evidence: {survy: {}}", "rule: null"), "RUL012", "no source survy is declared"),
    (
        case("evidence: {survey: {faild: 1}}", "rule: null"),
        "RUL012",
        "did you mean `evidence.survey.failed`?",
    ),
    (case("evidence: {survey: {failed: true}}", "rule: null"), "RUL007", "a whole number"),
    (case("submision: {}", "rule: null"), "RUL005", "did you mean `submission`?"),
    (case("codes: HALF", "rule: null"), "RUL007", "a list of code types"),
    (case("", ""), "RUL023", "expects nothing"),
    (case("", "outcome: pay"), "RUL008", "none of approve, reject"),
    (case("", "outcome: null"), "RUL007", "must be a text"),
    (case("", "rule: faild"), "RUL008", "did you mean `failed`?"),
    (case("", "rule: otherwise"), "RUL008", "write null"),
    (case("", "category: FAILED_CHEK"), "RUL008", "did you mean `FAILED_CHECK`?"),
    (case("", "guard: mode"), "RUL008", "none of undecidable, waiting"),
    (case("", "guard: limit.reward"), "RUL008", "none of undecidable, waiting"),
    (case("", "guard: hold_expired"), "RUL008", "none of undecidable, waiting"),
    (case("", "would: {}"), "RUL023", "names no rule"),
    (case("", "would: reject"), "RUL007", "must be a mapping"),
    (case("", "would: {faild: reject}"), "RUL008", "no rule of this file is called ‘faild’"),
    (
        case("", "would: {failed: reject}"),
        "RUL008",
        "‘failed’ is not observed, it decides: expect it as `rule`",
    ),
    (case("", "undecidable: yes"), "RUL007", "true or false"),
    (case("", "outcom: hold"), "RUL005", "did you mean `outcome`?"),
]


@pytest.mark.parametrize(("text", "code", "said"), WRONG)
def test_invalid_rule_test_is_a_finding(found: CheckText, text: str, code: str, said: str) -> None:
    [finding] = found(HEAD + text)
    assert finding.code == code
    assert said in finding.message
    lines = (HEAD + text).splitlines()
    assert lines[finding.line - 1].lstrip().startswith(("given:", "expect:"))
    assert finding.column > 11


OBSERVING = RULES.replace("  - name: half", "    observe: true\n  - name: half")


def observing(given: str, expect: str) -> str:
    return case(given, expect).replace(RULES, OBSERVING)


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (
            "evidence: {survey: {failed: 2, consented: true}}",
            "outcome: approve, rule: null, would: {failed: reject}",
        ),
        (CLEAN, "would: {failed: null}"),
        ("evidence: {survey: {consented: true}}", "outcome: approve, would: {failed: null}"),
        ("evidence: {survey: {failed: 2, consented: false}}", "rule: withdrew, would: {failed: null}"),
    ],
)
def test_rule_test_can_expect_the_outcome_of_an_observed_rule(
    loaded: LoadText, given: str, expect: str
) -> None:
    [result] = run(loaded(observing(given, expect)))
    assert result.failures == ()


def test_rule_test_fails_with_the_name_of_an_observed_rule(loaded: LoadText) -> None:
    [result] = run(loaded(observing(CLEAN, "would: {failed: reject}")))
    [failure] = result.failures
    assert (failure.key, failure.expected, failure.came) == ("would of ‘failed’", "reject", None)
    root = ET.fromstring(junit_xml([result]))  # noqa: S314
    [told] = [element.text or "" for element in root.iter("failure")]
    assert told.startswith("would of ‘failed’: expected reject, came nothing\n")
    assert "failed: not matched, only observed: evidence.survey.failed was 0" in told


def test_observed_rule_is_reached_by_a_rule_test_that_matches_it(loaded: LoadText) -> None:
    file = loaded(observing("evidence: {survey: {failed: 2, consented: true}}", "outcome: approve"))
    assert unreached(file, run(file)) == ("withdrew", "half", "slow")
    file = loaded(observing(CLEAN, "outcome: approve"))
    assert "failed" in unreached(file, run(file))


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("rule: failed", "‘failed’ is only observed: expect it under `would`"),
        ("would: {faild: reject}", "no rule of this file is called ‘faild’; did you mean `failed`?"),
        ("would: {slow: approve}", "‘slow’ is not observed, it decides: expect it as `rule`"),
        ("would: {failed: pay}", "`pay` is none of approve, reject"),
    ],
)
def test_observed_rule_with_an_impossible_action_is_a_finding(
    found: CheckText, expect: str, said: str
) -> None:
    [finding] = found(HEAD + observing(CLEAN, expect))
    assert (finding.line, finding.code) == (32, "RUL008")
    assert said in finding.message


def test_coverage_names_unreached_rules(loaded: LoadText) -> None:
    file = loaded(case("evidence: {survey: {failed: 2, consented: true}}", "outcome: reject"))
    assert unreached(file, run(file)) == ("withdrew", "half", "slow")


def test_coverage_counts_failed_rule_tests(loaded: LoadText) -> None:
    file = loaded(case("evidence: {survey: {failed: 2, consented: true}}", "outcome: approve"))
    assert "failed" not in unreached(file, run(file))


def test_running_rule_tests_is_pure(loaded: LoadText) -> None:
    file = loaded(case(CLEAN, "outcome: reject"))
    assert run(file) == run(file)


def test_junit_xml_has_each_test_and_the_trace_of_a_failure(loaded: LoadText) -> None:
    root = ET.fromstring(junit_xml(run(loaded(case(CLEAN, "outcome: reject")))))  # noqa: S314
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("a.yaml", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "outcome: expected reject, came approve"
    assert "failed: not matched: evidence.survey.failed was 0" in (failure.text or "")


def test_junit_xml_is_well_formed_for_any_names(loaded: LoadText) -> None:
    name = r'"a <b> & \"c\" \x07\e[31m \uFFFE ]]> 😀"'
    text = f"{RULES}tests: [{{name: {name}, expect: {{reason: {name}}}}}]\n"
    root = ET.fromstring(junit_xml(run(loaded(text))))  # noqa: S314
    [named] = [case.get("name") for case in root.iter("testcase")]
    assert named == 'a <b> & "c" \\x07\\x1b[31m \\ufffe ]]> 😀'
