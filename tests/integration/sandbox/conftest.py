"""Fixtures: the sandbox on a port, the real client, and a receiver of webhooks with faults."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.prolific import Prolific
from service.sandbox.app import DEFAULT_ACCESS, create_app
from service.sandbox.server import running, shipped_state
from service.sandbox.state import SandboxState
from tests.world import client

TIME_SCALE = 20_000.0
SECRET = "s3cr3t-example-value"

Until = Callable[[Callable[[], bool]], Awaitable[None]]


@dataclass(slots=True)
class Delivery:
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["x-event-id"]

    def is_signed_with(self, secret: str) -> bool:
        """Compute the signature independently of the service."""
        signed = self.headers["x-prolific-request-timestamp"].encode() + self.body
        mac = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
        return self.headers["x-prolific-request-signature"] == base64.b64encode(mac).decode()


@dataclass(slots=True)
class Receiver:
    """A receiver that records deliveries. It answers with the statuses in ``fails`` first, then 202."""

    fails: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    url: str = ""

    async def receive(self, request: Request) -> Response:
        self.deliveries.append(Delivery(dict(request.headers), await request.body()))
        return Response(status_code=self.fails.pop(0) if self.fails else 202)


@pytest.fixture
def state() -> SandboxState:
    return shipped_state(time_scale=TIME_SCALE, seed=7)


@pytest.fixture
async def base_url(state: SandboxState) -> AsyncIterator[str]:
    async with running(create_app(state)) as url:
        yield url


@pytest.fixture
async def prolific(base_url: str) -> AsyncIterator[Prolific]:
    async with Prolific(base_url, lambda: DEFAULT_ACCESS) as client:
        yield client


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Token {DEFAULT_ACCESS}"}
    async with client(base_url, headers=headers) as http:
        yield http


@pytest.fixture
async def near(state: SandboxState) -> AsyncIterator[httpx.ASGITransport]:
    """A client of the application without a port, which is faster for many cases."""
    app = create_app(state, webhook_transport=httpx.MockTransport(lambda _: httpx.Response(204)))
    async with app.router.lifespan_context(app):
        yield httpx.ASGITransport(app)


@pytest.fixture
async def near_prolific(near: httpx.ASGITransport) -> AsyncIterator[Prolific]:
    async with Prolific("http://sandbox", lambda: DEFAULT_ACCESS, transport=near) as client:
        yield client


@pytest.fixture
async def near_http(near: httpx.ASGITransport) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Token {DEFAULT_ACCESS}"}
    async with httpx.AsyncClient(transport=near, base_url="http://sandbox", headers=headers) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    known = Receiver()
    app = Starlette(routes=[Route("/hook", known.receive, methods=["POST"])])
    async with running(app) as url:
        known.url = f"{url}/hook"
        yield known


@pytest.fixture
def until() -> Until:
    """Wait for a condition, at most a minute."""

    async def wait(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.002)

    return wait
