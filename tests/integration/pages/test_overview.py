"""The first page: sources of evidence that fail, and a long queue."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

from service.app import Parts
from service.postgres.database import Database
from service.store.fetches import FAILED, FOUND, ask_sources, end_fetch, failed_lately, take_due
from tests.conftest import Start
from tests.integration.load.filling import fill
from tests.integration.pages.browsing import person

WEB = Parts(worker=False)
ERROR = "lab.example.org answered 500 <b>"


async def fetched(database: Database, result: str, reason: str | None) -> None:
    """Ask the source lab about the submission, again if it was asked before, and end the attempt."""
    async with database.begin() as connection:
        await ask_sources(connection, "s1", {"lab": ("d", datetime.now(UTC) + timedelta(hours=1))})
        [due] = await take_due(connection, {"lab": 1})
        assert await end_fetch(connection, due, result, reason, after=timedelta(0))


def rows(page: str) -> list[list[str]]:
    """Return the cells of the table of sources that fail, as text."""
    _, found, table = page.partition('<h2 id="unanswered">')
    body = table.partition("<tbody>")[2].partition("</tbody>")[0] if found else ""
    lines = re.findall("<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td[^>]*>(.*?)</td>", line)]
        for line in lines
    ]


async def test_a_source_that_fails_is_shown_with_its_error_and_since_when(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        database = world.service.database
        assert rows(await ada.page("/")) == []
        await fetched(database, FAILED, "no connection")
        async with database.connect() as connection:
            [first] = await failed_lately(connection)
        await fetched(database, FAILED, ERROR)
        page = await ada.page("/")
        assert ERROR not in page
        since, newest = (f"{first.since:%Y-%m-%d %H:%M:%S} UTC", datetime.now(UTC).strftime("%Y-%m-%d"))
        [[source, number, error, began, last]] = rows(page)
        assert (source, number, error, began) == ("lab", "1", ERROR, since)
        assert last.startswith(newest)


async def test_a_source_that_answers_again_is_shown_no_more(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        database = world.service.database
        await fetched(database, FAILED, ERROR)
        await fetched(database, FOUND, None)
        assert rows(await ada.page("/")) == []
        await fetched(database, FAILED, ERROR)
        async with database.connect() as connection:
            [again] = await failed_lately(connection)
        assert again.since == again.last_at


async def test_a_long_queue_is_counted_to_a_bound_and_exactly_in_the_api(
    start: Start, database_url: str
) -> None:
    fill(database_url, 0, waiting=10_001)
    async with start(parts=WEB) as world, person(world) as ada:
        assert "<dt>Queue</dt><dd>10000+</dd>" in await ada.page("/")
        status = await world.api("status")
        assert status["jobs"]["queued"] == 10_001
        assert status["jobs"]["oldest"] is not None
