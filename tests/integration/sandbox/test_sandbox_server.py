"""The command `autoreview sandbox`."""

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from service.sandbox.server import run_sandbox, welcome
from service.sandbox.studies import STROOP

Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_sandbox_command_prints_its_address_simulates_and_ends_on_a_signal(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], until: Until
) -> None:
    serving = asyncio.create_task(run_sandbox("127.0.0.1", 0, participants=4, time_scale=100_000, seed=1))
    said = ""

    def has_said() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "listens on" in said

    await until(has_said)
    found = re.search(r"listens on (http://\S+)", said)
    assert found
    async with httpx.AsyncClient(base_url=found[1]) as http:
        seen: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while seen.get("submissions") != 4:
                seen = (await http.get("/sandbox/state/")).json()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(5):
        await serving


async def test_sandbox_command_requires_a_secret_for_a_webhook_url() -> None:
    with pytest.raises(ValueError, match="secret"):
        await run_sandbox("127.0.0.1", 0, webhook_url="http://127.0.0.1:9/hook")


async def test_sandbox_command_fails_for_a_port_in_use(base_url: str) -> None:
    with pytest.raises(OSError, match="in use"):
        await run_sandbox("127.0.0.1", int(base_url.rsplit(":", 1)[1]))


async def test_sandbox_command_prints_a_working_example(base_url: str) -> None:
    lines = [line.strip() for line in welcome(base_url, "sandbox-token").splitlines()]
    for line in lines:
        if line.startswith("curl"):
            process = await asyncio.create_subprocess_shell(
                f"{line} --fail", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            assert process.returncode == 0
            assert any(word in out for word in (STROOP.encode(), b"results", b"page_cap"))


def test_sandbox_command_does_not_print_a_given_token() -> None:
    assert "my-own" not in welcome("http://x", "my-own")
