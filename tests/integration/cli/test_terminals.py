"""Commands in a terminal: at its width, with and without colours, and where it shows ASCII alone."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

RULES = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
rules:
  - name: 日本語 – much too fast
    when: submission.name == '日本語' && submission.pac > 1.0 && submission.pace < 2.0 && submission.pace < 3.0
    approve:
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def in_terminal(columns: int, *arguments: str, **variables: str) -> str:
    """What a command prints in a terminal of so many columns."""
    own, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *arguments],
        stdin=terminal, stdout=terminal, stderr=terminal, env=inherited | variables,
    )  # fmt: skip
    os.close(terminal)
    printed = b""
    try:
        while part := _read(own):
            printed += part
        process.wait(60)
    finally:
        process.kill()
        os.close(own)
    return printed.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux ends a terminal without a writer so
        return b""


@pytest.mark.parametrize(("columns", "variables"), [(80, {"TERM": "dumb"}), (120, {"NO_COLOR": "1"})])
def test_findings_fit_the_terminal_and_write_no_escapes_where_none_are_wanted(
    rules: Path, columns: int, variables: dict[str, str]
) -> None:
    shown = in_terminal(columns, "check", str(rules), **{"TERM": "xterm", **variables})
    assert "\x1b" not in shown
    assert "RUL012 error rule" in " ".join(shown.split())
    lines = shown.splitlines()
    assert all(len(line) <= columns for line in lines if str(rules.parent) not in line)
    assert lines[-1] == "1 file, 1 rule: 2 errors"


def test_findings_have_colours_in_a_terminal_with_colours(rules: Path) -> None:
    assert "\x1b[1;31merror\x1b[0m" in in_terminal(80, "check", str(rules), TERM="xterm-256color")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_shows_escapes(rules: Path, encoding: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "service", "check", str(rules)],
        capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr
    assert rb"\u65e5\u672c\u8a9e" in ended.stdout
