"""Commands beside the service."""

import subprocess
from collections.abc import Awaitable, Callable

import pytest

from tests.integration.manual.orders import autoreview

Command = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def command(database_url: str) -> Command:
    """Runs a command on the service's database."""

    async def run(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        return await autoreview(*arguments, settings={"database_url": database_url}, stdin=stdin)

    return run
