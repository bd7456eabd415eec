"""Paging through a list of submissions, for every form of last page."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.prolific import Prolific, SubmissionFilter
from service.prolific.errors import IncompleteList, NotFound, Unreadable

Answer = Callable[[httpx.Request], httpx.Response]


class Study:
    """A study of ``size`` submissions as Prolific lists it: 404 past the end, ``meta.count``, a link to the next page.

    ``change`` is called with each page's number before it is answered, and may change ``ids``.
    """

    def __init__(
        self, size: int, *, cap: int = 100, change: Callable[[int, list[str]], None] | None = None
    ) -> None:
        self.ids = [f"s{number}" for number in range(size)]
        self.cap = cap
        self.change = change
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(dict(request.url.params))
        number, size = int(request.url.params["page"]), min(self.cap, int(request.url.params["page_size"]))
        if self.change:
            self.change(number, self.ids)
        found = self.ids[(number - 1) * size : number * size]
        if not found and number > 1:
            return httpx.Response(404, json={"detail": "Invalid page."})
        following = f"/?page={number + 1}" if number * size < len(self.ids) else None
        return page(rows(*found), following, len(self.ids))

    async def listed(self, **wanted: Any) -> list[str]:
        found, problem = await read(self, **wanted)
        assert problem is None
        return found


def page(found: Sequence[object], following: str | None, count: int | None) -> httpx.Response:
    meta = {} if count is None else {"meta": {"count": count}}
    return httpx.Response(200, json={"results": found, "_links": {"next": {"href": following}}} | meta)


async def read(answer: Answer, **wanted: Any) -> tuple[list[str], str | None]:
    """Return the ids listed, and why the list is incomplete."""
    found = list[str]()
    transport = httpx.MockTransport(answer)
    async with Prolific("https://prolific.test", lambda: "t", transport=transport) as prolific:
        try:
            async for submission in prolific.submissions(SubmissionFilter(study="s", **wanted)):
                found.append(submission.id)
        except IncompleteList as error:
            return found, str(error)
    return found, None


def rows(*ids: str) -> list[dict[str, object]]:
    return [{"id": i, "participant_id": "p", "status": "ACTIVE", "study_code": "NOCODE"} for i in ids]


async def test_list_is_requested_in_a_fixed_order_with_100_rows_per_page() -> None:
    study = Study(250)
    assert await study.listed(page_size=500, page=3) == study.ids
    assert [asked["page"] for asked in study.asked] == ["1", "2", "3"]
    assert {(asked["ordering"], asked["page_size"]) for asked in study.asked} == {("started_at", "100")}
    assert await study.listed(ordering="-started_at") == study.ids
    assert study.asked[-1]["ordering"] == "-started_at"


@pytest.mark.parametrize("size", [0, 1, 20, 45])
async def test_list_with_a_capped_page_size_is_read_to_its_end(size: int) -> None:
    study = Study(size, cap=20)
    assert await study.listed() == study.ids


async def test_list_with_a_looping_next_link_is_read_once() -> None:
    study = Study(25, cap=10)

    def looping(request: httpx.Request) -> httpx.Response:
        answer = study(request)
        body = answer.json() | {"_links": {"next": {"href": "/?page=1"}}}
        return httpx.Response(answer.status_code, json=body)

    assert await read(looping) == (study.ids, None)
    assert [asked["page"] for asked in study.asked] == ["1", "2", "3", "4"]


async def test_short_page_in_the_middle_has_the_list_read_again() -> None:
    study, short = Study(30, cap=10), ["s12", "s13"]

    def once_short(request: httpx.Request) -> httpx.Response:
        answer = study(request)
        body = answer.json()
        body["results"] = [one for one in body.get("results", []) if one["id"] not in short]
        if len(study.asked) == 4:
            short.clear()
        return httpx.Response(answer.status_code, json=body)

    found, problem = await read(once_short)
    assert (sorted(found), problem) == (sorted(study.ids), None)


async def test_list_that_stays_short_is_incomplete_with_the_rows_read() -> None:
    study = Study(30, cap=10)

    def short(request: httpx.Request) -> httpx.Response:
        answer = study(request)
        body = answer.json()
        body["results"] = [row for row in body.get("results", []) if row["id"] != "s12"]
        return httpx.Response(answer.status_code, json=body)

    found, problem = await read(short)
    assert found == [one for one in study.ids if one != "s12"]
    assert problem == "Prolific's list is incomplete: 29 of 30 submissions could be read"
    assert len(study.asked) == 8, "three pages and one past the end, twice"


async def test_page_of_repeated_rows_is_not_the_end() -> None:
    order = ["a", "b", "a", "b", "c", "d"]

    def repeating(request: httpx.Request) -> httpx.Response:
        start = 2 * (int(request.url.params["page"]) - 1)
        return page(rows(*order[start : start + 2]), "/?page=1", 4)

    assert await read(repeating) == (["a", "b", "c", "d"], None)


async def test_list_that_shrinks_while_read_loses_no_row() -> None:
    """Ten submissions leave after the first page, so the rows of the third move to the second, and the third is 404."""

    def shrink(number: int, ids: list[str]) -> None:
        if number == 2 and len(ids) == 30:
            del ids[:10]

    study = Study(30, cap=10, change=shrink)
    found, problem = await read(study)
    assert (sorted(found), problem) == (sorted(f"s{number}" for number in range(30)), None)


async def test_list_that_shrinks_at_each_read_is_incomplete() -> None:
    def shrink(number: int, ids: list[str]) -> None:
        if number == 2:
            del ids[:5]

    _, problem = await read(Study(40, cap=10, change=shrink))
    assert problem == "Prolific's list is incomplete: 30 of 35 submissions could be read"


async def test_list_that_grows_while_read_is_complete() -> None:
    def grow(number: int, ids: list[str]) -> None:
        ids.append(f"s{len(ids)}")

    study = Study(25, cap=10, change=grow)
    assert await study.listed() == study.ids


async def test_list_with_404_on_the_first_page_is_an_error() -> None:
    with pytest.raises(NotFound):
        await read(lambda _: httpx.Response(404, json={}))


@pytest.mark.parametrize("last", ["c", ""])
async def test_list_without_a_count_is_read_to_its_end_and_incomplete(last: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        ids = "ab" if request.url.params["page"] == "1" else last
        return httpx.Response(200, json={"results": rows(*ids)})

    found, problem = await read(answer, page_size=2)
    assert found == ["a", "b", *last]
    assert problem is not None
    assert "meta.count" in problem


@pytest.mark.parametrize("count", [None, 5])
async def test_list_that_ignores_the_page_parameter_ends(count: int | None) -> None:
    found, problem = await read(lambda _: page(rows("a", "b"), "/?page=2", count))
    assert found == ["a", "b"]
    assert problem is not None


@pytest.mark.parametrize(
    ("count", "why"), [(5, "2 of 5 submissions could be read"), (2, "rows without an id or a status")]
)
async def test_unreadable_row_makes_the_list_incomplete_and_hides_no_other(count: int, why: str) -> None:
    spoilt = [{"id": None, "status": "ACTIVE"}, *rows("a"), "nonsense", {"id": "b"}]
    pages = [page(spoilt, "/?page=2", count), page(rows("c"), None, count), page([], None, count)]
    found, problem = await read(lambda request: pages[int(request.url.params["page"]) - 1])
    assert found == ["a", "c"]
    assert problem == f"Prolific's list is incomplete: {why}"


async def test_status_filter_is_applied_by_the_client_too() -> None:
    mixed = [*rows("a"), {"id": "b", "status": "AWAITING REVIEW"}]
    assert await read(lambda _: page(mixed, None, 2), status=Status.AWAITING_REVIEW) == (["b"], None)
    assert await read(lambda _: page(mixed, None, 2), status="Odd-One") == (["a", "b"], None)


async def test_page_has_parsed_rows_raw_rows_and_whether_more_follow() -> None:
    transport = httpx.MockTransport(lambda _: page(rows("a"), "/?page=2", 101))
    async with Prolific("https://prolific.test", lambda: "t", transport=transport) as prolific:
        first = await prolific.page(SubmissionFilter(study="s", page=1))
    assert (first.next, first.count, first.unreadable) == (True, 101, 0)
    assert first.rows[0]["study_code"] == "NOCODE"
    assert first.results[0].study_id == "s"
    assert first.results[0].participant_id == "p"
    assert first.results[0].entered_code == "NOCODE"


@pytest.mark.parametrize("body", [{}, {"results": None}, []])
async def test_unreadable_list_is_an_error(body: object) -> None:
    with pytest.raises(Unreadable):
        await read(lambda _: httpx.Response(200, json=body))


def test_list_parameters_have_the_names_of_prolific() -> None:
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
def test_status_has_the_spelling_of_filters(given: str, sent: str) -> None:
    assert SubmissionFilter(status=given).as_query() == {"status": sent}
