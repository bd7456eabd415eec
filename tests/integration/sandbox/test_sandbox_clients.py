"""Routes that other clients of Prolific use: projects, workspaces, pages of studies, rewards per hour."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.prolific import Prolific
from service.sandbox.model import SimSubmission
from service.sandbox.state import USER, WORKSPACE, SandboxState
from service.sandbox.studies import PROJECT, STROOP, TWO_PARTS

Until = Callable[[Callable[[], bool]], Awaitable[None]]
API = "/api/v1"


async def get(http: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    response = await http.get(path if path.startswith("http") else API + path, params=query or None)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def awaiting(state: SandboxState) -> SimSubmission:
    submission = state.reserve(STROOP)
    state.complete(submission, "C0L0UR12", time_taken=1200)
    return submission


async def test_workspaces_projects_and_studies_are_listed(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    workspace = await get(near_http, f"/workspaces/{WORKSPACE}/")
    assert (workspace["id"], workspace["owner"]) == (WORKSPACE, USER["id"])
    assert [one["id"] for one in workspace["projects"]] == [PROJECT]
    assert (await get(near_http, f"/workspaces/{WORKSPACE}/projects/"))["results"] == workspace["projects"]
    state.add_study({"project": "another", "name": "Elsewhere"})
    studies = await get(near_http, f"/projects/{PROJECT}/studies/")
    assert [one["id"] for one in studies["results"]] == [STROOP, TWO_PARTS]
    for missing in ("/workspaces/x/", "/workspaces/x/projects/", "/projects/x/studies/"):
        assert (await near_http.get(API + missing)).status_code == 404


async def test_workspaces_are_listed_in_pages_which_the_client_reads(
    near_http: httpx.AsyncClient, near_prolific: Prolific, state: SandboxState
) -> None:
    state.workspaces |= {f"5f{number:022}": f"Lab {number}" for number in range(30)}
    assert len((await get(near_http, "/workspaces/"))["results"]) == 20
    assert len(await near_prolific.workspaces()) == 31


@pytest.mark.parametrize("path", ["/studies/", f"/projects/{PROJECT}/studies/"])
async def test_studies_are_listed_whole_or_by_page_up_to_a_404(
    path: str, near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    ids = [STROOP, TWO_PARTS, *(state.add_study({"name": f"{number}"}).id for number in range(43))]
    whole = await get(near_http, path)
    assert [one["id"] for one in whole["results"]] == ids
    assert (whole["_links"]["next"]["href"], whole["meta"]["count"]) == (None, 45)
    url, seen, pages = path, list[str](), 0
    query: dict[str, Any] = {"page_size": 20}
    while url:
        page = await get(near_http, url, **query)
        seen += [one["id"] for one in page["results"]]
        url, query, pages = page["_links"]["next"]["href"], {}, pages + 1
    assert (seen, pages) == (ids, 3)
    assert (await near_http.get(API + path, params={"page": 4, "page_size": 20})).status_code == 404


async def test_studies_of_a_project_are_ordered_by_creation(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.add_study({"id": "old", "date_created": "2020-01-01T00:00:00.000000Z"})
    path = f"/projects/{PROJECT}/studies/"
    assert (await get(near_http, path, ordering="date_created"))["results"][0]["id"] == "old"
    assert (await get(near_http, path, ordering="-date_created"))["results"][-1]["id"] == "old"
    assert (await near_http.get(API + path, params={"ordering": "colour"})).status_code == 400


async def test_listed_study_has_its_type_and_creation(near_http: httpx.AsyncClient) -> None:
    row = (await get(near_http, "/studies/"))["results"][0]
    assert row["study_type"] == "SINGLE"
    assert datetime.fromisoformat(row["date_created"]).tzinfo is not None


async def test_study_detail_links_its_submissions(http: httpx.AsyncClient, state: SandboxState) -> None:
    submission = awaiting(state)
    link = (await get(http, f"/studies/{STROOP}/"))["_links"]["related"]["href"]
    assert [row["id"] for row in (await get(http, link))["results"]] == [submission.id]


async def test_reward_per_hour_uses_the_time_taken_else_the_estimate(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    assert (await get(near_http, f"/studies/{STROOP}/"))["average_reward_per_hour"] == 180 * 60 / 12
    awaiting(state)  # 20 minutes
    assert (await get(near_http, f"/studies/{STROOP}/"))["average_reward_per_hour"] == 180 * 3


async def test_approval_after_a_bulk_approval_has_no_effect(
    prolific: Prolific, state: SandboxState, until: Until
) -> None:
    submission = awaiting(state)
    await prolific.bulk_approve([submission.id])
    await until(lambda: submission.status is Status.APPROVED)
    again = await prolific.transition(submission.id, {"action": "APPROVE"})
    assert again.status is Status.APPROVED
    assert state.calls[-1].affected == ()
    assert [change.status for change in submission.history].count(Status.APPROVED) == 1


async def test_places_taken_exclude_only_timed_out_and_returned_submissions(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    for status in (Status.REJECTED, Status.APPROVED, Status.RETURNED, Status.TIMED_OUT, Status.ACTIVE):
        awaiting(state).status = status
    for study in (
        (await get(near_http, "/studies/"))["results"][0],
        await get(near_http, f"/studies/{STROOP}/"),
    ):
        assert (study["number_of_submissions"], study["places_taken"]) == (5, 3)
