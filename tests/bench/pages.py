"""``python -m tests.bench pages``: each page with 1,000,000 decisions and 100,000 waiting jobs.

A line has the median of five loads in milliseconds, and the SQL statements of one. Only ``/`` has a bound.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import sqlalchemy as sa

from service.app import Parts
from service.postgres.database import Database
from service.store.overview import version
from service.store.tallies import sum_up
from tests.bench.report import report
from tests.databases import create, named
from tests.integration.load.filling import STUDIES, fill
from tests.integration.load.pages import PAGES, STUDY
from tests.integration.load.plans import counted
from tests.integration.pages.browsing import person
from tests.world import ADMIN, World, bearer, rules_text, world, write_rules

DECISIONS, WAITING, LOADS = 1_000_000, 100_000, 5
FIRST_PAGE_MS = 300
API = ("/api/status", "/api/holds", f"/api/holds?study={STUDY}", f"/api/studies/{STUDY}", "/api/decisions")


def bench(folder: Path, postgres: str) -> None:
    """Fill a database of its own, load each page, and print the figures."""
    create(postgres, "pages", like="migrated")
    url = named(postgres, "pages")
    began = time.perf_counter()
    fill(url, DECISIONS, waiting=WAITING)
    print(
        f"{DECISIONS:,} decisions, {WAITING:,} waiting jobs, {STUDIES} studies: filled in {time.perf_counter() - began:.0f} s"
    )
    asyncio.run(measure(folder, url))


async def measure(folder: Path, url: str) -> None:
    """Load the pages of a web process on this database."""
    await _sum_up(url)
    rules = write_rules(folder / "rules", rules_text())
    async with world(url, rules, parts=Parts(worker=False)) as running, person(running) as ada:
        ada.http.headers.update(bearer(ADMIN))
        half = f"/decisions?until={datetime.now(UTC) - timedelta(seconds=DECISIONS / 2):%Y-%m-%d}"
        for path in (*PAGES, half, *API):
            ms, statements = await _page(running, ada.http, path)
            if path == "/":
                report(f"{path}, {statements} statements, ms", ms, FIRST_PAGE_MS)
            else:
                print(f"{f'{path}, {statements} statements, ms':58} {ms:8.2f}", flush=True)
        print(
            f"{'what live updates ask for, ms':58} {await _look(running.service.database):8.2f}", flush=True
        )


async def _sum_up(url: str) -> None:
    """Sum up kept counts, as a worker does once a minute; twice, because the first sums lie behind what they replace."""
    database = Database(url, pool_size=1)
    for _ in range(2):
        async with database.begin() as connection:
            await sum_up(connection)
        async with database.single() as connection:
            await connection.execute(sa.text("VACUUM ANALYZE tallies, study_times"))
    await database.close()


async def _page(running: World, http: httpx.AsyncClient, path: str) -> tuple[float, int]:
    """Return the median of the loads in ms, and the fewest statements of one: now and then a gauge adds some."""
    numbers = []

    async def load() -> None:
        with counted(running.service.database) as statements:
            answer = await http.get(path)
        assert answer.status_code in {200, 204, 303}, (path, answer.text)
        numbers.append(len(statements))

    await load()
    return await _median(load), min(numbers)


async def _look(database: Database) -> float:
    async def look() -> None:
        async with database.single() as connection:
            await version(connection)

    return await _median(look)


async def _median(load: Callable[[], Awaitable[Any]]) -> float:
    times = []
    for _ in range(LOADS):
        began = time.perf_counter()
        await load()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)
