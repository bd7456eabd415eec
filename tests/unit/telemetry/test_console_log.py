"""Console log lines: short, without control characters from participants."""

import json

import pytest
import structlog

from service.telemetry.log import configure_logs

REASON = "Held: " + "can't rule out ‘failed two attention checks’: a fact is missing. " * 5


def decide() -> None:
    structlog.get_logger("a").info(
        "decision.recorded",
        decision_id=123456,
        guard="limit.request_return",
        outcome="request_return",
        reason=REASON,
        rule=None,
        status="superseded",
        submission_id="60aca280709ee40ec37d4885",
        trigger="webhook",
    )


def test_console_log_has_one_short_line_per_decision(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(form="console", level="info")
    decide()
    [line] = capsys.readouterr().err.splitlines()
    assert len(line) <= 180
    assert all(
        text in line for text in ("decision.recorded", "123456", "60aca280709ee40ec37d4885", "request_return")
    )
    assert "reason" not in line
    assert "None" not in line


def test_json_log_keeps_every_field_of_a_decision(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(form="json", level="info")
    decide()
    assert json.loads(capsys.readouterr().err)["reason"] == REASON


def test_console_log_keeps_the_whole_text_of_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(form="console", level="info")
    structlog.get_logger("a").warning("rules.policy", finding=REASON)
    assert REASON.strip() in capsys.readouterr().err


def test_console_log_has_no_colours_with_no_color(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            configure_logs(form="console", level="info")
            decide()
            assert "\x1b" not in capsys.readouterr().err
