"""The sandbox on a real port: for a test, the demo, or the command ``autoreview sandbox``."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn
from starlette.types import ASGIApp

from service.sandbox.app import DEFAULT_ACCESS, create_app
from service.sandbox.faulty_api import Severable
from service.sandbox.lifecycle import PushEvidence, simulate
from service.sandbox.population import population
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import SHIPPED, STROOP
from service.sandbox.times import Timers, seeded
from service.web.listening import listen_on, url_of
from service.web.server import Server

BACKLOG = 512  # connections
GRACE = 1  # seconds that open connections have when the server stops


class _Server(Server):
    """A server that sets an event when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextlib.asynccontextmanager
async def running(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the application for as long as the block lasts; gives its base URL. Port 0 takes a free one."""
    with listen_on(host, port) as listener:
        listener.listen(BACKLOG)
        config = uvicorn.Config(
            app,
            http=Severable,
            lifespan="on",
            ws="none",
            log_config=None,  # the caller configures logs
            access_log=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        up = asyncio.create_task(server.up.wait())
        await asyncio.wait((serving, up), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if not server.started:
            raise RuntimeError("the sandbox's server did not start; its log says why")
        try:
            yield url_of(listener)
        finally:
            server.stop()
            await serving


def shipped_state(*, time_scale: float = 1.0, seed: int | None = None) -> SandboxState:
    """Make a state with the two studies that the sandbox comes with."""
    state = SandboxState(random=seeded(seed), timers=Timers(time_scale))
    for study in SHIPPED:
        state.add_study(study)
    return state


async def run_sandbox(
    host: str,
    port: int,
    *,
    token: str = DEFAULT_ACCESS,
    webhook_url: str | None = None,
    secret: str | None = None,
    participants: int = 0,
    time_scale: float = 1.0,
    seed: int | None = None,
    push: PushEvidence | None = None,
    guide: Callable[[str], str] | None = None,
) -> None:
    """Run the simulated Prolific until SIGTERM or SIGINT: the command ``autoreview sandbox``.

    ``guide`` returns how to point the service at it; it is called with its address, once it listens.
    """
    if webhook_url and not secret:
        raise ValueError("a webhook URL needs the secret that its receiver knows")
    state = shipped_state(time_scale=time_scale, seed=seed)
    if webhook_url and secret:
        state.hooks.point_at(WORKSPACE, webhook_url, secret)
    people = population(participants, state.random)
    stop = _stop_signal()
    async with running(create_app(state, token=token), host, port) as base_url:
        print(welcome(base_url, token, guide(base_url) if guide else None), flush=True)
        crowd = asyncio.create_task(simulate(state, people, push=push))
        await stop.wait()
        crowd.cancel()
        await asyncio.gather(crowd, return_exceptions=True)


def welcome(base_url: str, token: str, guide: str | None = None) -> str:
    """Return what to type next. ``guide`` explains how to start the service, by default with settings typed by hand."""
    shown = token if token == DEFAULT_ACCESS else "<the sandbox's token>"
    finished = f'{{"study_id": "{STROOP}", "entered_code": "C0L0UR12", "time_taken": 700}}'
    fault = '{"endpoint": "transition", "status": 503, "share": 0.2, "count": null, "seconds": 60}'
    quirks = '{"page_cap": 20, "ignores_status": true, "looping_next": true}'
    guide = (
        guide
        or f"""  Point the service at it, in a second shell. With `--write-env FILE` the sandbox writes these settings to a file:
    export AUTOREVIEW_PROLIFIC_URL={base_url} AUTOREVIEW_PROLIFIC_TOKEN={shown}
    export AUTOREVIEW_ADMIN_TOKEN=sandbox-admin AUTOREVIEW_EVIDENCE_TOKEN=sandbox-evidence AUTOREVIEW_MODE=live
    autoreview connect --url http://127.0.0.1:8080 --out sandbox-secret
    export AUTOREVIEW_WEBHOOK_SECRETS_FILE=sandbox-secret
    autoreview serve"""
    )
    return f"""The simulated Prolific listens on {base_url}

{guide}
  Its studies, with the codes that participants enter:
{_studies()}
  Let somebody finish a study:
    curl -s {base_url}/sandbox/submissions/ -d '{finished}'
  See it as the API shows it, and what was done to it:
    curl -s '{base_url}/api/v1/submissions/?study={STROOP}' -H 'Authorization: Token {shown}'
    curl -s {base_url}/sandbox/ledger/
  Let it misbehave, and lose or shuffle its webhooks (/sandbox/webhooks/):
    curl -s {base_url}/sandbox/faults/ -d '{fault}'
  Let its lists differ as Prolific's did in live use (GET lists every switch):
    curl -s {base_url}/sandbox/quirks/ -d '{quirks}'

Stop with Ctrl-C."""


def _studies() -> str:
    return "\n".join(
        f"    {study['id']}  {study['name']}: "
        + ", ".join(
            f"{code['code']} ({code['code_type']})"
            for code in study["completion_codes"]
            if code["actor"] == "participant"
        )
        for study in SHIPPED
    )


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
