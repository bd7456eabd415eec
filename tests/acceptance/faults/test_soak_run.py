"""A small soak: no event is lost, doubled or decided wrongly while processes are killed under load."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postgres.pooler import PROGRAM, needs_pgbouncer
from tests.soak.plan import Through

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def soaks() -> Iterator[dict[Through, subprocess.Popen[str]]]:
    """A small soak each way. They mostly wait, so all run at once."""
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.5", "--kills", "8", "--participants", "60"]
    running = {
        way: subprocess.Popen(
            [*command, "--through", way],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        for way in Through
        if way is not Through.POOLER or PROGRAM
    }
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("through", "last"),
    [
        pytest.param(Through.DIRECT, "", id="direct"),
        pytest.param(Through.FAILOVER, "through failover: ", id="failover"),
        pytest.param(Through.POOLER, "through pooler: ", id="pooler", marks=needs_pgbouncer),
    ],
)
def test_nothing_is_lost_doubled_or_wrong_while_processes_are_killed(
    soaks: dict[Through, subprocess.Popen[str]], through: Through, last: str
) -> None:
    said, _ = soaks[through].communicate(timeout=400)
    assert re.fullmatch(last + r"events \d{2,}, lost 0, doubled 0, wrong 0", said.splitlines()[-1]), said
    assert soaks[through].returncode == 0, said
