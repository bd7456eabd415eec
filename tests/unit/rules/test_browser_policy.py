"""Rules that depend on evidence from the participant's browser: reported at load, held at run time."""

from typing import Any

import pytest

from service.domain.decision import Facts
from service.rules.file_reading import read_file
from service.rules.format.findings import Findings
from service.rules.rulefile import RuleFile

MESSAGE = "You missed {evidence.page.failed} of the attention checks in our study. Each asked for one answer, as its text said. Please write to us."
FILE = """version: 1
name: a
studies: [60aca280709ee40ec37d4885]
evidence:
  page: {{from: push, fields: {{failed: int}}, cors: ["https://study.example.org"]}}
  server: {{from: push, fields: {{failed: int}}}}
rules:
  - name: failed
    when: {when}
    {action}
otherwise: approve
"""
REJECT = f'reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}'
RETURN = "request_return: {reasons: [Look at it.]}\n    recheck_after: 7d"


def read(when: str, action: str = REJECT) -> tuple[RuleFile, set[str]]:
    findings = Findings("a.yaml")
    file, _ = read_file("a.yaml", FILE.format(when=when, action=action).encode(), findings)
    assert file, [str(one) for one in findings.found]
    return file, {one.code for one in findings.found}


ALONE = [
    "evidence.page.failed >= 2",
    "evidence.page.failed >= 2 && study.reward > 1",
    "evidence.page.failed >= 2 && submission.code_type == 'COMPLETED'",
    "evidence.page.failed >= 2 && evidence.server.received",
    "evidence.page.failed >= 2 || evidence.server.failed >= 2",
    "{any: [evidence.page.failed >= 2, evidence.server.failed >= 2]}",
]
TOGETHER = [
    "evidence.server.failed >= 2",
    "evidence.page.failed >= 2 && evidence.server.failed >= 1",
    "evidence.page.failed >= 2 && submission.time_taken < 60",
    "{all: [evidence.page.failed >= 2, stats.fast_outlier]}",
    "evidence.page.failed >= 2 && participant.rejected > 2",
]


@pytest.mark.parametrize("action", [REJECT, RETURN])
@pytest.mark.parametrize("when", ALONE)
def test_rejection_on_browser_evidence_alone_is_a_finding(when: str, action: str) -> None:
    assert "POL014" in read(when, action)[1]


@pytest.mark.parametrize("action", [REJECT, RETURN])
@pytest.mark.parametrize("when", TOGETHER)
def test_rejection_with_other_evidence_has_no_finding(when: str, action: str) -> None:
    assert "POL014" not in read(when, action)[1]


@pytest.mark.parametrize("when", ALONE)
def test_hold_and_approval_may_use_browser_evidence_alone(when: str) -> None:
    for action in ("hold: Look at it.", "approve:"):
        assert "POL014" not in read(when, action)[1]


def facts(origin: str | None, server: int = 0) -> Facts:
    page: dict[str, Any] = {"failed": 2, "received": True} | ({"origin": origin} if origin else {})
    return {
        "submission": {"time_taken": 30, "code_type": "COMPLETED"},
        "study": {"reward": 100, "estimated_completion_time": 20.0},
        "evidence": {"page": page, "server": {"failed": server, "received": True}},
        "stats": {"fast_outlier": True, "count": 50},
        "participant": {"rejected": 3},
        "now": "2026-01-01T10:00:00+00:00",
    }


@pytest.mark.parametrize("action", [REJECT, RETURN])
@pytest.mark.parametrize("when", ALONE)
def test_decision_on_browser_evidence_alone_is_held(when: str, action: str) -> None:
    file, _ = read(when, action)
    sent = facts("browser")
    assert "POL014" in (file.policy_problem(file.decide(sent), sent) or "")
    own = facts(None)
    assert file.policy_problem(file.decide(own), own) is None


@pytest.mark.parametrize("when", TOGETHER)
def test_decision_with_other_evidence_is_not_held(when: str) -> None:
    file, _ = read(when)
    sent = facts("browser", server=2)
    assert file.decide(sent).rule == "failed"
    assert file.policy_problem(file.decide(sent), sent) is None


def test_decision_on_an_alternative_without_browser_evidence_is_not_held() -> None:
    file, _ = read("evidence.page.failed >= 2 || evidence.server.failed >= 2")
    sent = facts("browser", server=2)
    assert file.policy_problem(file.decide(sent), sent) is None


def test_trace_marks_values_from_a_browser() -> None:
    file, _ = read("evidence.page.failed >= 2 && evidence.server.failed >= 0")
    trace: Any = file.decide(facts("browser")).trace
    (condition,) = trace[0]["conditions"]
    assert {fact["fact"]: fact.get("origin") for fact in condition["facts"]} == {
        "evidence.page.failed": "browser",
        "evidence.server.failed": None,
    }
