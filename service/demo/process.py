"""The real service in its own process, with its own data folder and a clean environment."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx

from service.demo.laboratory import Laboratory
from service.errors import AutoreviewError
from service.postgres.embedded import delete_database
from service.postgres.embedded_home import make_data_dir
from service.postgres.owned import open_own
from service.settings import PREFIX

FOLDER = Path(".autoreview/demo")
STARTUP = 60.0  # seconds
SHUTDOWN = 30.0  # seconds


class ServiceDied(AutoreviewError):
    """The service of the rehearsal did not start."""

    code = "demo_service"


@dataclass(frozen=True, slots=True)
class Place:
    """The address of the rehearsal's service, and the secrets made for it."""

    url: str
    admin_token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    viewer_token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    evidence_token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    webhook_secret: str = field(default_factory=secrets.token_urlsafe, repr=False)
    prolific_token: str = field(default_factory=secrets.token_urlsafe, repr=False)

    @property
    def log_file(self) -> Path:
        return FOLDER / "service.log"

    def environment(self, prolific_url: str, laboratory: Laboratory) -> dict[str, str]:
        # Without proxies: all that is called is on this machine.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) and not name.lower().endswith("_proxy")
        }
        port = self.url.rpartition(":")[2]
        return inherited | {
            "AUTOREVIEW_DATA_DIR": str(FOLDER),
            "AUTOREVIEW_RULES_DIR": str(laboratory.rules),
            "AUTOREVIEW_SOURCE_LAB": f"sqlite:///{laboratory.database}",
            "AUTOREVIEW_MODE": "live",
            "AUTOREVIEW_PORT": port,
            "AUTOREVIEW_PROLIFIC_URL": prolific_url,
            "AUTOREVIEW_PROLIFIC_TOKEN": self.prolific_token,
            "AUTOREVIEW_WEBHOOK_SECRETS": self.webhook_secret,
            "AUTOREVIEW_ADMIN_TOKEN": self.admin_token,
            "AUTOREVIEW_VIEWER_TOKEN": self.viewer_token,
            "AUTOREVIEW_EVIDENCE_TOKEN": self.evidence_token,
            "AUTOREVIEW_LOG_FORMAT": "json",
        }


def free_place() -> Place:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Place(f"http://127.0.0.1:{probe.getsockname()[1]}")


def _fresh_log(place: Place) -> BinaryIO:
    delete_database(FOLDER)
    make_data_dir(FOLDER)
    log = os.fdopen(open_own(place.log_file, os.O_WRONLY | os.O_CREAT), "wb")
    log.truncate(0)
    return log


@asynccontextmanager
async def service_process(place: Place, prolific_url: str, laboratory: Laboratory) -> AsyncIterator[None]:
    """Run ``autoreview serve`` on an empty database. Stop it with SIGTERM at the end of the block."""
    with _fresh_log(place) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            "serve",
            env=place.environment(prolific_url, laboratory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops the service
        )
    try:
        await _ready(place, process)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), SHUTDOWN)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(place: Place, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(base_url=place.url, trust_env=False) as http:
        for _ in range(round(STARTUP / 0.05)):
            if process.returncode is not None:
                break
            try:
                if (await http.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
    tail = "\n".join(place.log_file.read_text(errors="replace").splitlines()[-15:])
    raise ServiceDied(f"The service did not start; its log, {place.log_file}, ends with:\n{tail}")
