"""The facts that rules see."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.domain.submission import CompletionCode, Status, Study, Submission
from service.review.facts import facts_of, still_to_come
from service.rules import RuleFile, load
from tests.world import rules_text, write_rules

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STUDY = Study(
    id="s1",
    name="A study",
    status="ACTIVE",
    estimated_completion_time=10.0,
    maximum_allowed_time=30.0,
    reward=150,
    total_available_places=100,
    metadata=None,
    completion_codes=(
        CompletionCode("DONE", "COMPLETED"),
        CompletionCode("HALF", "HALF_DONE"),
        CompletionCode("PAY", "PARTIAL_PAYMENT", actor="researcher"),
    ),
)


def submission(**changes: Any) -> Submission:
    usual: dict[str, Any] = {
        "id": "a",
        "study_id": "s1",
        "participant_id": "p",
        "status": Status.AWAITING_REVIEW,
        "started_at": NOW - timedelta(minutes=20),
        "completed_at": NOW - timedelta(minutes=5),
        "entered_code": "DONE",
    }
    return Submission(**usual | changes)


@pytest.fixture
def rule_file(tmp_path: Path) -> RuleFile:
    text = rules_text().replace("from: push", "from: push\n    wait: 30m")
    return load(write_rules(tmp_path, text)).files[0]


def facts(rule_file: RuleFile, said: dict[str, Any] | None = None, **changes: Any) -> Any:
    evidence = {} if said is None else {"survey": said}
    return facts_of(submission(**changes), STUDY, evidence, rule_file, completed_by=NOW, now=NOW)


def test_facts_have_computed_time_taken_and_pace(rule_file: RuleFile) -> None:
    found = facts(rule_file)["submission"]
    assert found["time_taken"] == 900
    assert found["pace"] == 1.5


def test_time_taken_of_prolific_is_preferred_unless_it_is_0(rule_file: RuleFile) -> None:
    assert facts(rule_file, time_taken=840)["submission"]["time_taken"] == 840
    assert facts(rule_file, time_taken=0)["submission"]["time_taken"] == 900


def test_unknown_facts_are_absent(rule_file: RuleFile) -> None:
    found = facts(rule_file, completed_at=None, entered_code=None)
    assert {"completed_at", "time_taken", "pace", "entered_code"}.isdisjoint(found["submission"])
    assert "metadata" not in found["study"]
    assert found["submission"]["return_requested"] is False


@pytest.mark.parametrize(
    ("code", "code_type"),
    [
        ("DONE", "COMPLETED"),
        (" DONE ", "COMPLETED"),
        ("HALF", "HALF_DONE"),
        (None, "NONE"),
        ("", "NONE"),
        ("NOCODE", "NONE"),
        ("done", "UNKNOWN"),
        ("PAY", "UNKNOWN"),
    ],
)
def test_code_type_is_that_of_a_participant_code(
    rule_file: RuleFile, code: str | None, code_type: str
) -> None:
    assert facts(rule_file, entered_code=code)["submission"]["code_type"] == code_type


def test_received_is_unknown_during_the_wait_and_known_after_it(rule_file: RuleFile) -> None:
    assert facts(rule_file)["evidence"]["survey"] == {}
    late = NOW - timedelta(minutes=30)
    assert facts(rule_file, completed_at=late)["evidence"]["survey"] == {"received": False}
    said = facts(rule_file, {"attention_failed": 1, "comment": None})
    assert said["evidence"]["survey"] == {"attention_failed": 1, "received": True}


def test_stored_evidence_of_a_wrong_type_is_missing(rule_file: RuleFile) -> None:
    found = facts(rule_file, {"attention_failed": "two", "gone": 1, "consented": True})
    assert found["evidence"]["survey"] == {"consented": True, "received": True}


def test_wait_of_a_source_begins_at_completion(rule_file: RuleFile) -> None:
    completed = NOW - timedelta(minutes=5)
    assert still_to_come(rule_file, facts(rule_file), completed, NOW) == NOW + timedelta(minutes=25)
    assert still_to_come(rule_file, facts(rule_file, {}), completed, NOW) is None


def test_facts_of_an_unavailable_study_are_missing(rule_file: RuleFile) -> None:
    found = facts_of(submission(), None, {}, rule_file, completed_by=NOW, now=NOW)
    assert found["study"] == {}
    assert {"pace", "code_type"}.isdisjoint(found["submission"])
