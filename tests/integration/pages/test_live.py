"""Live updates: told at once, bounded, and no reason for a stop to wait."""

import asyncio
from pathlib import Path

import httpx

from service.app import Parts
from tests.conftest import Start
from tests.integration.manual.orders import HOLD, pause
from tests.integration.pages.browsing import person
from tests.integration.postgres.pooler import needs_pgbouncer, pgbouncer
from tests.world import World, rules_text, world, write_rules

WEB = Parts(worker=False)


async def next_change(lines: "asyncio.Queue[str | None]") -> str:
    async with asyncio.timeout(60):
        while True:
            line = await lines.get()
            if line is None or line.startswith("event:"):
                return line or "the end"


async def read(http: httpx.AsyncClient, lines: "asyncio.Queue[str | None]") -> None:
    """Follow the stream to its end, which must be a clean one."""
    async with http.stream("GET", "/changes") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            await lines.put(line)
    await lines.put(None)


async def follow(world: World) -> None:
    """A change is told to an open page."""
    async with person(world) as ada:
        lines = asyncio.Queue[str | None]()
        reading = asyncio.create_task(read(ada.http, lines))
        assert (await lines.get() or "").startswith("retry")
        await asyncio.sleep(0.5)  # The first look is what changes are compared with.
        await pause(world)
        assert await next_change(lines) == "event: changed"
        reading.cancel()


async def test_an_open_page_is_told_and_a_stop_ends_its_stream_cleanly(start: Start) -> None:
    lines = asyncio.Queue[str | None]()
    async with httpx.AsyncClient(timeout=30) as http:
        async with start(parts=WEB) as world:
            await follow(world)
            async with person(world) as ada:
                http.base_url, http.cookies = httpx.URL(world.url), ada.http.cookies
            reading = asyncio.create_task(read(http, lines))
            assert (await lines.get() or "").startswith("retry")
        await reading  # raises if the connection was cut


@needs_pgbouncer
async def test_behind_a_pooler_pages_are_told_by_looking(database_url: str, tmp_path: Path) -> None:
    rules = write_rules(tmp_path / "rules", rules_text())
    async with (
        pgbouncer(database_url, tmp_path / "pgbouncer") as url,
        world(url, rules, parts=WEB) as running,
    ):
        await follow(running)


async def test_streams_are_bounded(start: Start) -> None:
    async with (
        start(HOLD, parts=Parts(worker=False, most_streams=1)) as world,
        person(world) as ada,
        ada.http.stream("GET", "/changes") as first,
    ):
        assert first.status_code == 200
        lines = first.aiter_lines()  # Kept: httpx closes the stream when its iterator is collected.
        await anext(lines)
        refused = await ada.http.get("/changes")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")


async def test_streams_need_a_session(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.http.get("/changes")).status_code == 303
