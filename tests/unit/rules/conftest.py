from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.rules import Finding, RuleFile, check, load

HEAD = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {failed: int, gibberish: double, consented: bool, note: string}
"""

LoadText = Callable[[str], RuleFile]
CheckText = Callable[[str], list[Finding]]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadText:
    """Load a file with this text after the usual head."""

    def load_text(text: str) -> RuleFile:
        path = tmp_path / "a.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        return load(path).files[0]

    return load_text


@pytest.fixture
def found(tmp_path: Path) -> CheckText:
    """Return the findings of a file with this text."""

    def check_text(text: str) -> list[Finding]:
        path = tmp_path / "a.yaml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return check(path)

    return check_text


@pytest.fixture
def facts() -> dict[str, Any]:
    """Return facts in which nothing is missing."""
    return {
        "submission": {
            "id": "sub1",
            "study_id": "60aca280709ee40ec37d4885",
            "participant_id": "p1",
            "status": "AWAITING REVIEW",
            "started_at": "2026-01-01T09:50:00Z",
            "completed_at": "2026-01-01T10:00:00Z",
            "time_taken": 600,
            "pace": 1.0,
            "entered_code": "C0MPL3TE",
            "code_type": "COMPLETED",
            "return_requested": False,
        },
        "study": {
            "id": "60aca280709ee40ec37d4885",
            "name": "A study",
            "status": "ACTIVE",
            "estimated_completion_time": 10.0,
            "maximum_allowed_time": 60.0,
            "reward": 150,
            "total_available_places": 100,
        },
        "evidence": {
            "survey": {"received": True, "failed": 0, "gibberish": 0.0, "consented": True, "note": "fine"},
        },
        "now": "2026-01-01T10:01:00Z",
    }
