"""Quirks: behaviour of Prolific observed in live use, and the client with each of them."""

from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.prolific import Prolific, SubmissionFilter
from service.prolific.errors import IncompleteList
from service.sandbox.messages import MessageStyle
from service.sandbox.quirks import Quirks
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests.integration.sandbox.live_quirks import SURVIVED

SUBMISSIONS = "/api/v1/submissions/"


@pytest.fixture(autouse=True)
def crowd(state: SandboxState) -> None:
    """Create 40 submissions, every fourth approved."""
    for number in range(40):
        submission = state.reserve(STROOP, notify=False)
        state.complete(submission, "C0L0UR12", time_taken=600, notify=False)
        if number % 4 == 0:
            submission.status = Status.APPROVED


async def page(http: httpx.AsyncClient, **query: Any) -> tuple[list[str], dict[str, Any]]:
    response = await http.get(SUBMISSIONS, params={"study": STROOP, **query})
    assert response.status_code == 200, response.text
    body = response.json()
    return [row["id"] for row in body["results"]], body


async def test_quirk_page_cap_limits_the_rows_of_a_page(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    for _ in range(80):
        state.reserve(STROOP, notify=False)
    assert len((await page(near_http, page_size=500))[0]) == 100
    state.quirks = Quirks(page_cap=7)
    rows, body = await page(near_http, page_size=500)
    assert (len(rows), body["meta"]["count"]) == (7, 120)
    assert body["_links"]["last"]["href"].endswith("page=18")


async def test_quirk_ignores_the_status_filter_only(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.quirks = Quirks(ignores_status=True)
    assert len((await page(near_http, status="APPROVED", page_size=100))[0]) == 40
    assert len((await page(near_http, approved="true", page_size=100))[0]) == 10


async def test_quirk_changes_the_order_between_pages_without_an_ordering(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.quirks = Quirks(unstable_order=True)
    unordered = [one for number in (1, 2) for one in (await page(near_http, page=number))[0]]
    assert len(set(unordered)) < 40, "rows repeat, and others are skipped"
    ordered = [
        one for number in (1, 2) for one in (await page(near_http, page=number, ordering="started_at"))[0]
    ]
    assert len(set(ordered)) == 40


async def test_quirk_removes_the_last_row_of_pages(near_http: httpx.AsyncClient, state: SandboxState) -> None:
    state.quirks = Quirks(short_pages=1)
    assert [len((await page(near_http))[0]) for _ in range(2)] == [19, 20]


async def test_quirk_makes_the_next_link_loop(near_http: httpx.AsyncClient, state: SandboxState) -> None:
    state.quirks = Quirks(looping_next=True)
    for number in (1, 2):
        assert (await page(near_http, page=number))[1]["_links"]["next"]["href"].endswith("page=1")


async def test_quirk_makes_a_page_past_the_end_404_or_empty(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    past = {"study": STROOP, "page": "3"}
    assert (await near_http.get(SUBMISSIONS, params=past)).status_code == 404
    state.quirks = Quirks(empty_past_end=True)
    assert (await page(near_http, page=3))[0] == []


async def test_quirk_shows_returned_in_the_response_to_a_request_to_return(
    near_prolific: Prolific, state: SandboxState
) -> None:
    submission = next(one for one in state.submissions.values() if one.status is Status.AWAITING_REVIEW)
    state.quirks = Quirks(answers_returned=True)
    asked = await near_prolific.request_return(submission.id, ["Please."])
    assert asked.status is Status.RETURNED
    assert (await near_prolific.submission(submission.id)).status is Status.AWAITING_REVIEW


async def test_submission_of_a_part_of_a_study_has_its_parent(
    near_prolific: Prolific, near_http: httpx.AsyncClient
) -> None:
    made = await near_http.post("/sandbox/studies/", json={"name": "One quota", "parent_study_id": STROOP})
    assert "parent_study_id" not in made.json(), "as in Prolific's schema of a study"
    part = {"study_id": made.json()["id"], "id": "5ub"}
    assert (await near_http.post("/sandbox/submissions/", json=part)).status_code == 201
    found = await near_prolific.submission("5ub")
    assert (found.study_id, found.parent_study_id) == (part["study_id"], STROOP)
    listed = [one async for one in near_prolific.submissions(SubmissionFilter(study=part["study_id"]))]
    assert [(one.id, one.parent_study_id) for one in listed] == [("5ub", None)]


@pytest.mark.parametrize("quirks", SURVIVED, ids=lambda one: "+".join(one) or "none")
async def test_client_reads_the_whole_list_through_each_quirk(
    quirks: dict[str, Any], near_prolific: Prolific, state: SandboxState
) -> None:
    state.quirks = Quirks(**quirks)
    wanted = SubmissionFilter(study=STROOP, status=Status.AWAITING_REVIEW, page_size=12)
    listed = [one.id async for one in near_prolific.submissions(wanted)]
    waiting = [one.id for one in state.submissions.values() if one.status is Status.AWAITING_REVIEW]
    assert sorted(listed) == sorted(waiting)


async def test_client_reports_a_list_that_stays_short(near_prolific: Prolific, state: SandboxState) -> None:
    state.quirks = Quirks(short_pages=1000)
    with pytest.raises(IncompleteList, match="39 of 40"):
        _ = [one async for one in near_prolific.submissions(SubmissionFilter(study=STROOP))]


async def test_quirks_are_set_by_a_control_route(near_http: httpx.AsyncClient, state: SandboxState) -> None:
    path = "/sandbox/quirks/"
    before = (await near_http.get(path)).json()
    assert before["message_style"] == "spec"
    assert (
        before["page_cap"],
        any(before[name] for name in before if name not in ("page_cap", "message_style")),
    ) == (
        100,
        False,
    )
    given = {"page_cap": 10, "looping_next": True, "message_style": "live"}
    assert (await near_http.post(path, json=given)).json() == before | given
    assert state.quirks == Quirks(page_cap=10, looping_next=True)
    assert state.messages.style is MessageStyle.LIVE
    for wrong in ({"page_cap": 0}, {"page_cap": True}, {"short_pages": -1}, {"looping_next": 1}, {"shuffle": True},
                  {"message_style": "loud"}):  # fmt: skip
        assert (await near_http.post(path, json=wrong)).status_code == 400
    assert (await near_http.get(path)).json() == before | given
