"""Commands that import the service themselves; most tests fork them from a process that has the imports done."""

import subprocess
import sys

import pytest
import typer

from service.cli import app
from tests import warm
from tests.process import autoreview, environment

NOWHERE = {"database_url": "postgresql://a:b@127.0.0.1:9/x", "rules_dir": "rules"}
BY = ("--by", "Ada", "--reason", "a test")
# Each ends before anything outside is needed, or where the database or a setting is missing.
CALLS = [
    (["check", "rules"], 0),
    (["schema"], 0),
    (["test", "rules"], 0),
    (["migrate"], 2),
    (["holds"], 2),
    (["status"], 2),
    (["decisions", "list"], 2),
    (["pause", *BY], 2),
    (["resume", *BY], 2),
    (["retry", "--all"], 2),
    (["resolve", "a-submission", "approve", "--by", "Ada"], 2),
    (["explain", "a-submission"], 2),
    (["sweep"], 2),
    (["submissions", "list", "--study", "a-study"], 2),
    (["connect", "--url", "https://review.example.org"], 2),
    (["notify", "--test"], 2),
    (["doctor"], 1),
    (["backup", "a-file"], 2),
    (["restore", "a-file"], 2),
    (["export", "tags", "--study", "a-study"], 2),
    (["evidence", "recipe", "qualtrics"], 0),
    (["backtest", "--study", "a-study"], 2),
]
RUN_ELSEWHERE = {"serve", "demo", "sandbox"}
HEAVY = {
    "alembic",
    "asyncio",
    "cel_expr_python",
    "httpx",
    "jinja2",
    "jsonschema",
    "procrastinate",
    "pydantic",
    "pydantic_settings",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "xml",
}
# With the libraries that they need imported before: not so the modules of ours, which may miss one that others import.
OURS_ARE_NEW = tuple(sorted(HEAVY))
RULES_NEED = {"cel_expr_python", "pydantic"}


@pytest.mark.parametrize(("arguments", "code"), CALLS, ids=[" ".join(call[:2]) for call, _ in CALLS])
def test_command_ends_as_it_does_when_forked(arguments: list[str], code: int) -> None:
    own = warm.run(arguments, env=environment(NOWHERE), imported=OURS_ARE_NEW)
    forked = autoreview(*arguments, settings=NOWHERE)
    assert own.returncode == forked.returncode == code, own.stderr
    assert own.stdout.decode() == forked.stdout
    assert "Traceback" not in own.stderr.decode() + forked.stderr


def test_every_command_is_run_in_a_python_of_its_own() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert set(group.commands) - RUN_ELSEWHERE == {call[0] for call, _ in CALLS}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [(["--help"], set[str]()), (["check", "rules"], RULES_NEED)],
)
def test_command_imports_only_what_it_needs(arguments: list[str], needed: set[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "service", *arguments],
        capture_output=True, text=True, env=environment({}), check=True, timeout=120,
    )  # fmt: skip
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "typer" in imported
    assert imported & HEAVY <= needed
