"""The screen of ``autoreview status``."""

from datetime import UTC, datetime
from typing import Any

from service.cli.status import WIDTH, _screen

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)
STATE: dict[str, Any] = {
    "mode": "observe",
    "version": "0.1.0",
    "workers": [],
    "rules": {"files": [], "errors": []},
    "inbox": {"events": 0, "last_at": None, "unreadable": 0},
    "jobs": {"queued": 0, "oldest": None},
    "waiting": {"by_state": {}, "groups": [], "next_deadline": None, "is_complete": True},
    "pauses": [],
    "breakers": [],
    "evidence": {
        "refused": [{"source": "survey", "number": 3, "reason": "no_key", "last_message": "No id."}],
        "failed": [{"source": "lab", "number": 2, "last_reason": "lab.example.org answered 500"}],
    },
    "sweep": None,
    "subscription": None,
}


def test_status_shows_refused_deliveries_and_failed_requests_to_sources() -> None:
    shown = {name: list(lines) for name, lines in _screen(STATE, "a test", NOW)}
    assert shown["refused"] == ["3 deliveries of survey, no_key: No id."]
    assert shown["fetches"] == ["2 failed at lab: lab.example.org answered 500"]


def test_status_names_fit_their_column() -> None:
    assert [name for name, _ in _screen(STATE, "a test", NOW) if len(name) >= WIDTH] == []
