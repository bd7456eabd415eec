"""The command line as a process of its own, as an operator runs it.

``autoreview`` and ``serving`` fork the process from one that has the imports done (``tests.warm``).
"""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests import warm
from tests.world import ADMIN, EVIDENCE, SECRET, TOKEN, client, until


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Nothing of the surrounding ``AUTOREVIEW_`` settings, and these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTOREVIEW_")}
    return inherited | {f"AUTOREVIEW_{name.upper()}": str(value) for name, value in settings.items()}


def autoreview(
    *arguments: str, cwd: Path | None = None, settings: Mapping[str, object] = {}
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    ended = warm.run(arguments, env=environment(settings), cwd=cwd)
    return subprocess.CompletedProcess(ended.args, ended.returncode, _text(ended.stdout), _text(ended.stderr))


def _text(output: bytes) -> str:
    return output.decode().replace("\r\n", "\n")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def complete_settings(
    rules: Path, data_dir: Path, prolific_url: str = "http://127.0.0.1:9"
) -> dict[str, object]:
    return {
        "rules_dir": rules,
        "data_dir": data_dir,
        "port": free_port(),
        "mode": "live",
        "prolific_url": prolific_url,
        "prolific_token": TOKEN,
        "webhook_secrets": SECRET,
        "admin_token": ADMIN,
        "evidence_token": EVIDENCE,
        "log_format": "json",
    }


@dataclass
class Running:
    """``autoreview serve`` at work."""

    process: warm.Process
    http: httpx.AsyncClient
    log: Path

    async def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def serving(settings: Mapping[str, object], log: Path, *arguments: str) -> AsyncIterator[Running]:
    """The service as a process, ready; killed at the end of the block if it still runs."""
    with log.open("ab") as output:
        process = await asyncio.to_thread(
            warm.start, ["serve", *arguments], env=environment(settings), log=output
        )
    async with client(f"http://127.0.0.1:{settings['port']}") as http:

        async def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        try:
            await until(ready, "the service to be ready")
            yield Running(process, http, log)
        finally:
            if process.poll() is None:
                process.kill()
                await process.wait()
            process.close()
