"""A rolling upgrade under load: new processes start, old ones stop, and clients notice nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from service.domain.submission import Status
from service.sandbox.app import create_app
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests.process import Running, autoreview, complete_settings, free_port, serving
from tests.world import ADMIN, TOKEN, bearer, rules_text, signed, status_change, until, write_rules

EVERY = 0.25  # seconds between two submissions
PROBED = 0.2  # seconds between two looks at readyz; the service drains for longer


class Service:
    """What a cluster's Service is: the web processes that were ready when they were probed last."""

    def __init__(self) -> None:
        self.pods: list[Running] = []
        self.ready: list[Running] = []
        self._turn = 0

    async def probe(self) -> None:
        while True:
            self.ready = [pod for pod in self.pods if await is_ready(pod)]
            await asyncio.sleep(PROBED)

    def pick(self) -> httpx.AsyncClient:
        self._turn += 1
        return self.ready[self._turn % len(self.ready)].http


async def is_ready(pod: Running) -> bool:
    try:
        return (await pod.http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


class Load:
    """Submissions that are completed one after the other, with one webhook each."""

    def __init__(self, state: SandboxState, service: Service) -> None:
        self.answers = Counter[str]()
        self.submissions: list[str] = []
        self.enough = False
        self._state = state
        self._service = service

    async def run(self) -> None:
        while not self.enough:
            submission = self._state.reserve(STROOP, notify=False)
            self._state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
            self.submissions.append(submission.id)
            body = status_change(submission.id)
            headers = signed(body, event_id=f"event-{submission.id}")
            try:
                answer = await self._service.pick().post("/webhooks/prolific", content=body, headers=headers)
                self.answers[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                self.answers[type(error).__name__] += 1
            await asyncio.sleep(EVERY)


@asynccontextmanager
async def release(settings: dict[str, object], log: Path) -> AsyncIterator[tuple[Running, Running]]:
    """One version's web and worker, ready."""
    async with (
        serving(settings | {"port": free_port()}, log, "--only", "web") as web,
        serving(settings | {"port": free_port()}, log, "--only", "worker") as worker,
    ):
        yield web, worker


async def test_a_rolling_upgrade_under_load_loses_and_doubles_nothing(
    database_url: str, tmp_path: Path
) -> None:
    state = shipped_state(time_scale=1000.0, seed=5)
    async with sandbox_running(create_app(state, token=TOKEN)) as prolific_url, AsyncExitStack() as stack:
        rules = write_rules(tmp_path / "rules", rules_text())
        settings = complete_settings(rules, tmp_path / "data", prolific_url)
        settings |= {"database_url": database_url, "sweep_every": "1h"}
        service = Service()
        load = Load(state, service)
        old_web, old_worker = await stack.enter_async_context(release(settings, tmp_path / "old"))
        service.pods = [old_web]
        probing = asyncio.create_task(service.probe())
        await until(lambda: has(service.ready), "the old version to be in rotation")
        coming = asyncio.create_task(load.run())
        await until(lambda: has(load.submissions[20:]), "some load on the old version")

        migrated = await asyncio.to_thread(autoreview, "migrate", settings={"database_url": database_url})
        assert migrated.returncode == 0, migrated.stderr
        new_web, _ = await stack.enter_async_context(release(settings, tmp_path / "new"))
        service.pods = [old_web, new_web]
        await until(lambda: has(service.ready[1:]), "both in rotation")
        assert [*await asyncio.gather(old_web.stop(), old_worker.stop())] == [0, 0]
        service.pods = [new_web]
        during = len(load.submissions)
        await until(lambda: has(load.submissions[during + 20 :]), "some load on the new version")
        load.enough = True
        await coming  # cancelled within a call, the last submission would get no webhook

        async def all_approved() -> bool:
            return all(state.submissions[one].status is Status.APPROVED for one in load.submissions)

        await until(all_approved, "all to be approved")
        probing.cancel()
        assert set(load.answers) == {"202"}, "nobody outside noticed"
        assert {len(state.calls_for(one)) for one in load.submissions} == {1}
        one = load.submissions[0]
        found = await new_web.http.get("/api/decisions", params={"submission": one}, headers=bearer(ADMIN))
        assert [row["status"] for row in found.json()["results"]] == ["applied"]


async def has(things: list[object] | list[Running] | list[str]) -> bool:
    return bool(things)
