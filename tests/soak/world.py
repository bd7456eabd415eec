"""Everything that runs during the soak, and how it is brought up and down."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.sandbox.app import create_app
from service.sandbox.server import running, shipped_state
from service.sandbox.state import WORKSPACE, SandboxState
from tests.process import free_port
from tests.soak.balancer import ADDRESS, WEBHOOKS, Balancer
from tests.soak.plan import Plan
from tests.soak.postgres import Postgres, postgres
from tests.soak.replicas import Part, Replica, Victim, service_replica
from tests.soak.rules import write_rules
from tests.soak.way import Way, way_to
from tests.world import ADMIN, EVIDENCE, SECRET, TOKEN, until

PARTS = (Part.WEB, Part.WEB, Part.WORKER, Part.WORKER)


@dataclass(frozen=True, slots=True)
class World:
    """The service's processes behind one address, their database, and the simulated Prolific."""

    state: SandboxState
    balancer: Balancer
    database: Postgres
    services: Sequence[Replica]
    way: Way

    @property
    def replicas(self) -> Sequence[Replica]:
        return (*self.services, self.database.replica, *self.way.replicas)

    @property
    def targets(self) -> Sequence[Victim]:
        return (*self.replicas, *self.way.addresses)

    def client(self, token: str) -> httpx.AsyncClient:
        """For clients outside the service."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(transport=self.balancer, base_url=ADDRESS, headers=headers, timeout=10)


@asynccontextmanager
async def world(plan: Plan, folder: Path) -> AsyncIterator[World]:
    """All at work inside the block; logs in the folder."""
    ports = [free_port() for _ in PARTS]
    balancer = Balancer([port for port, part in zip(ports, PARTS, strict=True) if part is Part.WEB], plan)
    state = shipped_state(time_scale=plan.time_scale, seed=plan.seed)
    state.hooks.point_at(WORKSPACE, f"{ADDRESS}{WEBHOOKS}", SECRET)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(balancer.end)
        database = await stack.enter_async_context(postgres(folder, plan.random("database")))
        way = await stack.enter_async_context(way_to(database, plan, folder))
        sandbox = create_app(state, token=TOKEN, webhook_transport=balancer)
        prolific_url = await stack.enter_async_context(running(sandbox))
        common = _settings(plan, folder, way.url, prolific_url)
        services = [
            _replica(number, part, common | {"port": port}, folder, plan)
            for number, (part, port) in enumerate(zip(PARTS, ports, strict=True), 1)
        ]
        stack.push_async_callback(_stop, services)
        for service in services:
            service.start()
        await _ready(services, ports)
        yield World(state, balancer, database, services, way)


def _settings(plan: Plan, folder: Path, database_url: str, prolific_url: str) -> dict[str, object]:
    return {
        "database_url": database_url,
        "rules_dir": write_rules(folder / "rules", plan),
        "mode": "live",
        "prolific_url": prolific_url,
        "prolific_token": TOKEN,
        "webhook_secrets": SECRET,
        "admin_token": ADMIN,
        "evidence_token": EVIDENCE,
        "sweep_every": f"{plan.sweep_every}s",
        "log_format": "json",
    }


def _replica(number: int, part: Part, settings: dict[str, object], folder: Path, plan: Plan) -> Replica:
    name = f"{part}-{number}"
    return service_replica(name, part, settings, folder, plan.random(name))


async def _ready(services: Sequence[Replica], ports: Sequence[int]) -> None:
    async with httpx.AsyncClient(timeout=5) as http:
        for service, port in zip(services, ports, strict=True):

            async def ready(name: str = service.name, url: str = f"http://127.0.0.1:{port}/readyz") -> bool:
                try:
                    return (await http.get(url)).status_code == 200
                except httpx.TransportError:
                    return False

            await until(ready, f"{service.name} to be ready; its log is beside the others'")


async def _stop(services: Sequence[Replica]) -> None:
    await asyncio.gather(*(service.stop() for service in services))
