"""Walking a list of submissions to its end, whatever shape the end has."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.prolific import Prolific, SubmissionFilter
from service.prolific.errors import NotFound, Unreadable

Respond = Callable[[int], httpx.Response]


class Listing:
    """Answers pages by number, and remembers the numbers asked for."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.asked: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(int(request.url.params["page"]))
        return self.respond(self.asked[-1])

    async def walk(self, **wanted: Any) -> list[str]:
        transport = httpx.MockTransport(self)
        async with Prolific("https://prolific.test", lambda: "t", transport=transport) as prolific:
            return [s.id async for s in prolific.submissions(SubmissionFilter(study="s", **wanted))]


def rows(*ids: str) -> list[dict[str, object]]:
    return [{"id": i, "participant_id": "p", "status": "ACTIVE", "study_code": "NOCODE"} for i in ids]


def linked(ids: str, following: str | None) -> httpx.Response:
    return httpx.Response(200, json={"results": rows(*ids), "_links": {"next": {"href": following}}})


async def test_it_ends_where_no_next_page_is_linked() -> None:
    pages = Listing(lambda n: linked("ab" if n == 1 else "c", "/?page=2" if n == 1 else None))
    assert await pages.walk() == ["a", "b", "c"]
    assert pages.asked == [1, 2]


async def test_a_page_past_the_end_answers_404_and_is_the_end() -> None:
    pages = Listing(lambda n: linked("ab", f"/?page={n + 1}") if n == 1 else httpx.Response(404, json={}))
    assert await pages.walk() == ["a", "b"]


async def test_404_on_the_first_page_is_an_error() -> None:
    with pytest.raises(NotFound):
        await Listing(lambda _: httpx.Response(404, json={})).walk()


@pytest.mark.parametrize("last", ["c", ""])
async def test_without_links_a_page_that_is_not_full_is_the_end(last: str) -> None:
    pages = Listing(lambda n: httpx.Response(200, json={"results": rows(*("ab" if n == 1 else last))}))
    assert await pages.walk(page_size=2) == ["a", "b", *last]
    assert pages.asked == [1, 2]


async def test_a_next_link_that_repeats_itself_ends_the_walk() -> None:
    pages = Listing(lambda n: linked(f"{n}", "/?page=2"))
    assert await pages.walk() == ["1", "2"]


async def test_a_server_that_ignores_the_page_ends_the_walk() -> None:
    pages = Listing(lambda n: linked("ab", f"/?page={n + 1}"))
    assert await pages.walk() == ["a", "b"]


async def test_a_row_that_slipped_to_the_next_page_is_given_once() -> None:
    pages = Listing(lambda n: linked("ab" if n == 1 else "bc", "/?page=2" if n == 1 else None))
    assert await pages.walk() == ["a", "b", "c"]


async def test_the_walk_begins_at_the_wanted_page() -> None:
    pages = Listing(lambda _: linked("x", None))
    assert await pages.walk(page=3) == ["x"]
    assert pages.asked == [3]


async def test_one_page_has_parsed_rows_raw_rows_and_whether_there_is_more() -> None:
    transport = httpx.MockTransport(Listing(lambda _: linked("a", "/?page=2")))
    async with Prolific("https://prolific.test", lambda: "t", transport=transport) as prolific:
        page = await prolific.page(SubmissionFilter(study="s", page=1))
    assert page.next
    assert page.rows[0]["study_code"] == "NOCODE"
    assert page.results[0].study_id == "s"
    assert page.results[0].participant_id == "p"
    assert page.results[0].entered_code == "NOCODE"


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": [1]}, {"results": [{"id": "x"}]}])
async def test_a_list_that_cannot_be_read_is_an_error_not_an_end(body: object) -> None:
    with pytest.raises(Unreadable):
        await Listing(lambda _: httpx.Response(200, json=body)).walk()


def test_all_sixteen_parameters_are_spelt_as_prolific_wants_them() -> None:
    flags = ("completed", "returned", "awaiting_review", "approved", "active")
    more = ("timeout", "rejected", "screened_out", "completeoractive")
    wanted = SubmissionFilter(
        study="s",
        status=Status.AWAITING_REVIEW,
        **dict.fromkeys(flags, True),
        **dict.fromkeys(more, False),
        submitted_from=date(2026, 1, 2),
        submitted_before=date(2026, 12, 31),
        ordering="-started_at",
        page=2,
        page_size=50,
    )
    assert wanted.as_query() == {
        "study": "s",
        "status": "AWAITING_REVIEW",
        **dict.fromkeys(flags, "true"),
        **dict.fromkeys(more, "false"),
        "submitted_from": "02/01/2026",
        "submitted_before": "31/12/2026",
        "ordering": "-started_at",
        "page": "2",
        "page_size": "50",
    }
    assert len(wanted.as_query()) == 16


@pytest.mark.parametrize(
    ("given", "sent"),
    [("timed_out", "TIMED-OUT"), ("screened out", "SCREENED_OUT"), ("Odd-One", "Odd-One")],
)
def test_a_status_is_spelt_as_filters_spell_it(given: str, sent: str) -> None:
    assert SubmissionFilter(status=given).as_query() == {"status": sent}
