"""Finding things by their ids, the list of studies, and answers to addresses that are none."""

import pytest

from service.app import Parts
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.manual.orders import HOLD, held
from tests.integration.pages.browsing import person

WEB = Parts(worker=False)
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_an_id_leads_to_its_page(start: Start) -> None:
    async with start(HOLD) as world, person(world) as ada:
        submission, again = await held(world), await held(world)

        async def found(wanted: str) -> str:
            answer = await ada.http.get("/find", params={"id": wanted})
            assert answer.status_code == 303, answer.text
            return answer.headers["location"]

        assert await found(f" {submission.id} ") == f"/submissions/{submission.id}"
        assert await found(STROOP) == f"/studies/{STROOP}"
        assert await found(again.participant_id) == f"/submissions/{again.id}"
        await world.push("never-seen", {"attention_failed": 1})
        assert await found("never-seen") == "/submissions/never-seen"
        # A participant with two submissions has a list.
        async with world.service.database.begin() as connection:
            statement = "UPDATE submissions SET participant_id = %(id)s WHERE id = %(of)s"
            values = {"id": again.participant_id, "of": submission.id}
            await connection.exec_driver_sql(statement, values)
        assert await found(again.participant_id) == f"/decisions?participant={again.participant_id}"
        answer = await ada.http.get("/find", params={"id": "<b>nobody</b>"})
        assert (answer.status_code, "&lt;b&gt;nobody" in answer.text) == (404, True)


async def test_studies_are_listed_with_names_and_what_awaits_review(start: Start) -> None:
    rules = HOLD.replace(f"[{STROOP}]", f"[{STROOP}, 5f0000000000000000000000]")
    async with start(rules) as world, person(world) as ada:
        assert "no submission received yet" in await ada.page("/studies")
        await held(world)
        page = await ada.page("/studies")
        assert f'<a href="/studies/{STROOP}">Stroop, wave 2</a>' in page
        assert 'data-label="Await review">1</td>' in page
        assert '<a href="/studies/5f0000000000000000000000">' in page
        for path in ("/", "/decisions", "/rules", "/holds"):
            assert "Stroop, wave 2" in await ada.page(path), path


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/holds", 405)])
async def test_browsers_get_errors_as_pages_and_programs_as_problem_details(
    start: Start, method: str, path: str, status: int
) -> None:
    async with start(parts=WEB) as world:
        shown = await world.http.request(method, path, headers=BROWSER)
        assert (shown.status_code, shown.headers["content-type"].split(";")[0]) == (status, "text/html")
        assert "unsafe" not in shown.headers["content-security-policy"]
        read = await world.http.request(method, path)
        assert (read.status_code, read.headers["content-type"]) == (status, "application/problem+json")
        assert shown.headers.get("allow") == read.headers.get("allow")
        for api in ("/api/nothing", "/evidence", "/webhooks/nobody"):
            answer = await world.http.get(api, headers=BROWSER)
            assert answer.headers["content-type"] == "application/problem+json", api


async def test_a_head_request_ends_at_once(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        for path in ("/", "/changes", "/decisions.csv", "/sign-in", "/holds"):
            answer = await ada.http.head(path)
            assert (answer.status_code, answer.content) == (200, b""), path
            # The connection is free again.
            assert (await ada.http.get("/holds/planned")).status_code == 200
