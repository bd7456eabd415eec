"""The commands for rule authors: check, test, schema."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
TEXT = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {failed: int, crashed: bool}
rules:
  - name: crashed
    when: evidence.survey.crashed
    reject:
      category: OTHER
      message: >-
        Something broke after {evidence.survey.failed} questions, and so there is nothing we can use of it. Please
        write to us about it.
  - name: failed
    when: evidence.survey.failed >= 2
    hold: They failed {evidence.survey.failed}.
otherwise: approve
tests:
  - name: two failed
    given: {evidence: {survey: {failed: 2, crashed: false}}}
    expect: {outcome: hold, rule: failed}
  - name: all is well
    given: {evidence: {survey: {failed: 0, crashed: false}}}
    expect: {outcome: approve}
"""
FAILING = TEXT.replace("expect: {outcome: approve}", "expect: {outcome: reject, rule: crashed}")
WARNING = "POL007 warning rule ‘crashed’, when: technical problems are no ground to reject"


def autoreview(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of rules with one file, which has a warning; the working directory is above it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    path = tmp_path / "rules" / "a.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_check_prints_warnings_and_exits_0(write: Path) -> None:
    ended = autoreview("check", "rules")
    assert ended.stdout.startswith(f"rules/a.yaml:10:11: {WARNING}")
    assert ended.exit_code == 0


def test_check_strict_makes_a_warning_an_error(write: Path) -> None:
    assert autoreview("check", "rules", "--strict").exit_code == 1


def test_check_strict_lists_allowed_findings_without_an_error(write: Path) -> None:
    allowed = "    allow: [POL007]\n    because: It was on purpose.\n  - name: failed"
    write.write_text(TEXT.replace("  - name: failed", allowed), encoding="utf-8")
    ended = autoreview("check", "rules", "--strict")
    assert ended.exit_code == 0
    assert "(allowed: It was on purpose.)" in ended.stdout
    [finding] = json.loads(autoreview("check", "--json", "--strict").stdout)["findings"]
    assert (finding["code"], finding["severity"]) == ("POL007", "allowed")


def test_test_command_runs_tests_and_names_unreached_rules(write: Path) -> None:
    ended = autoreview("test", "rules")
    assert ended.exit_code == 0
    assert "two failed" in ended.stdout
    assert "a.yaml: no test reaches ‘crashed’" in ended.stdout
    assert ended.stdout.endswith("2 ok, 0 failed\n")


def test_test_command_accepts_one_file(write: Path) -> None:
    assert autoreview("test", write).stdout.endswith("2 ok, 0 failed\n")


def test_test_command_fails_for_an_unreached_rule_if_coverage_is_required(write: Path) -> None:
    ended = autoreview("test", "rules", "--require-coverage")
    assert ended.exit_code == 1
    assert "Failed: 1 rule has no test that reaches it, and --require-coverage asks for one." in ended.stdout
    reached = "  - name: it broke\n    given: {evidence: {survey: {failed: 2, crashed: true}}}\n"
    write.write_text(f"{TEXT}{reached}    expect: {{outcome: reject}}\n", encoding="utf-8")
    assert autoreview("test", "rules", "--require-coverage").exit_code == 0


def test_test_command_shows_actual_result_and_trace_of_a_failure(write: Path) -> None:
    write.write_text(FAILING, encoding="utf-8")
    ended = autoreview("test", "rules")
    assert ended.exit_code == 1
    shown = ended.stdout[ended.stdout.index("a.yaml:24: all is well: failed") :].splitlines()
    assert shown[1:6] == [
        "  outcome: expected reject, came approve",
        "  rule: expected crashed, came nothing",
        "  reason: Approved: no rule matched.",
        "  crashed: not matched: evidence.survey.crashed was false",
        "  failed: not matched: evidence.survey.failed was 0",
    ]


def test_test_command_verbose_shows_given_and_default_facts(write: Path) -> None:
    shown = autoreview("test", "rules", "--verbose").stdout
    assert "evidence.survey.failed = 2 (given)" in shown
    assert "submission.time_taken = 600 (default)" in shown


def test_test_command_json_has_each_test_with_its_actual_result(write: Path) -> None:
    write.write_text(FAILING, encoding="utf-8")
    ended = autoreview("test", "rules", "--json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["ok"], told["findings"]) == (1, False, [])
    assert [test["ok"] for test in told["tests"]] == [True, False]
    assert told["tests"][1]["failures"][0] == {"key": "outcome", "expected": "reject", "came": "approve"}
    assert told["tests"][1]["came"]["outcome"] == "approve"
    assert told["unreached"] == [{"file": "a.yaml", "rule": "crashed"}]


def test_test_command_writes_junit_xml(write: Path, tmp_path: Path) -> None:
    write.write_text(FAILING, encoding="utf-8")
    assert autoreview("test", "rules", "--junit", tmp_path / "junit.xml").exit_code == 1
    root = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314
    assert [len(case) for case in root.iter("testcase")] == [0, 1]


def test_test_command_reports_that_junit_xml_cannot_be_written(write: Path, tmp_path: Path) -> None:
    ended = autoreview("test", "rules", "--junit", tmp_path / "nowhere" / "junit.xml")
    assert isinstance(ended.exception, ConfigurationError)
    assert "can't write" in str(ended.exception)


def test_test_command_reports_rule_errors_instead_of_running_tests(write: Path) -> None:
    write.write_text(TEXT.replace("otherwise: approve", "otherwise: pay"), encoding="utf-8")
    ended = autoreview("test", "rules")
    assert ended.exit_code == 1
    assert "rules/a.yaml:19:12: RUL008 error otherwise" in ended.stdout
    told = json.loads(autoreview("test", "--json").stdout)
    assert (told["ok"], told["tests"]) == (False, [])
    assert "RUL008" in {finding["code"] for finding in told["findings"]}


def test_test_command_reports_a_file_without_tests(write: Path) -> None:
    write.write_text(TEXT[: TEXT.index("tests:")], encoding="utf-8")
    ended = autoreview("test", "rules")
    assert ended.exit_code == 0
    assert ended.stdout.startswith("No tests in rules.\n")
    assert autoreview("test", "rules", "--require-coverage").exit_code == 1


def test_test_command_prints_no_control_character_of_a_name(write: Path) -> None:
    text = FAILING.replace("name: all is well", r'name: "a\e[31m [b]red[/b]"')
    write.write_text(text, encoding="utf-8")
    shown = autoreview("test", "rules", "--verbose").stdout
    assert "\x1b" not in shown
    assert r"a\x1b[31m [b]red[/b]" in shown


def test_schema_command_prints_the_schema_beside_the_rules() -> None:
    shown = autoreview("schema").stdout
    assert json.loads(shown)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert shown == (ROOT / "rules" / "rules.schema.json").read_text(encoding="utf-8")
