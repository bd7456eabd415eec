"""The routes below ``/api``."""

import pytest

from service import __version__
from service.app import Parts
from tests.conftest import Start
from tests.world import ADMIN, bearer, rules_text

WEB = Parts(web=True, worker=False)
ROUTES = ["/api/decisions", "/api/decisions/1", "/api/submissions/abc", "/api/status"]


@pytest.mark.parametrize("route", ROUTES)
async def test_api_with_a_wrong_token_answers_401(start: Start, route: str) -> None:
    async with start(parts=WEB) as world:
        assert (await world.http.get(route)).status_code == 401
        assert (await world.http.get(route, headers=bearer("wrong"))).status_code == 401


async def test_api_without_a_configured_token_answers_403_naming_the_variable(start: Start) -> None:
    async with start(parts=WEB, admin_token=None) as world:
        answer = await world.http.get("/api/status", headers=bearer("any"))
        assert answer.status_code == 403
        assert "AUTOREVIEW_ADMIN_TOKEN" in answer.json()["message"]


async def test_list_is_newest_first_and_links_the_next_page(start: Start) -> None:
    async with start() as world:
        ids = [(await world.reviewed(world.completed()))["id"] for _ in range(5)]
        seen, url = [], "/api/decisions?limit=2"
        while url:
            page = (await world.http.get(url, headers=bearer(ADMIN))).json()
            assert set(page) == {"results", "next"}
            assert len(page["results"]) <= 2
            seen += [row["id"] for row in page["results"]]
            url = page["next"]
        assert seen == sorted(ids, reverse=True)


async def test_each_filter_narrows_the_list(start: Start) -> None:
    rules = """
  - name: no code
    when: submission.code_type == "NONE"
    hold: look
"""
    async with start(rules_text(rules)) as world:
        good, held = world.completed(), world.completed(code=None)
        first = await world.reviewed(good)
        second = await world.reviewed(held)
        for name, value, expected in [
            ("submission", good.id, [first]),
            ("participant", held.participant_id, [second]),
            ("study", good.study_id, [second, first]),
            ("outcome", "hold", [second]),
            ("rule", "no code", [second]),
            ("status", "applied", [first]),
            ("trigger", "webhook", [second, first]),
            ("trigger", "evidence", []),
            ("since", second["decided_at"], [second]),
            ("until", second["decided_at"], [first]),
        ]:
            found = (await world.api("decisions", **{name: value}))["results"]
            assert [row["id"] for row in found] == [row["id"] for row in expected], (name, value)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("since=yesterday", "since"),
        ("colour=red", "colour"),
        ("before=-1", "before"),
    ],
)
async def test_wrong_parameter_is_422_with_its_name(start: Start, query: str, named: str) -> None:
    async with start(parts=WEB) as world:
        answer = await world.http.get(f"/api/decisions?{query}", headers=bearer(ADMIN))
        assert answer.status_code == 422
        assert named in answer.json()["message"]


@pytest.mark.parametrize(
    "route",
    [
        "/api/decisions/4711",
        "/api/decisions/x",
        "/api/decisions/99999999999999999999",
        "/api/submissions/abc",
    ],
)
async def test_unknown_submission_or_decision_is_404(start: Start, route: str) -> None:
    async with start(parts=WEB) as world:
        assert (await world.http.get(route, headers=bearer(ADMIN))).status_code == 404


async def test_submission_detail_has_events_evidence_and_decisions(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 0})
        await world.tell(submission.id, "ACTIVE", event_id="e-1")
        await world.settled(submission.id)
        found = await world.api(f"submissions/{submission.id}")
        assert set(found) == {"submission", "events", "evidence", "decisions"}
        assert found["submission"]["id"] == submission.id
        (event,) = found["events"]
        assert set(event) == {"event_id", "received_at", "event_type", "status", "handled"}
        assert (event["event_id"], event["status"], event["handled"]) == ("e-1", "ACTIVE", True)
        assert len(found["decisions"]) == 1


async def test_submission_known_from_an_event_only_is_shown(start: Start) -> None:
    async with start(parts=WEB) as world:
        await world.tell("abc")
        found = await world.api("submissions/abc")
        assert found["submission"] is None
        assert [event["handled"] for event in found["events"]] == [False]


async def test_status_has_the_counts_of_the_service(start: Start) -> None:
    async with start() as world:
        await world.reviewed(world.completed())
        status = await world.api("status")
        assert status["version"] == __version__
        assert (status["mode"], status["paused"], status["breakers"]) == ("live", False, [])
        (file,) = status["rules"]["files"]
        assert (file["file"], len(file["hash"]), status["rules"]["errors"]) == ("rules.yaml", 64, [])
        assert status["inbox"]["events"] == 1
        assert status["inbox"]["last_at"]
        assert status["jobs"] == {"queued": 0, "oldest": None}
        assert status["decisions"] == {"outcome": {"approve": 1}, "status": {"applied": 1}}
