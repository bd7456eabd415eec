"""Each fault of the simulated API, over HTTP."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.prolific import Prolific
from service.prolific.errors import BadRequest, RateLimited, Unreachable
from service.sandbox.faults import ANY, KINDS, Fault, Faults
from service.sandbox.faulty_api import kind_of
from service.sandbox.model import By, SimSubmission
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import STROOP
from service.sandbox.times import seeded

APPROVE = {"action": "APPROVE"}
USER = "/api/v1/users/me/"


@pytest.fixture
def submission(state: SandboxState) -> SimSubmission:
    made = state.reserve(STROOP)
    state.complete(made, "C0L0UR12", time_taken=600)
    return made


async def statuses(http: httpx.AsyncClient, number: int, path: str = USER) -> list[int]:
    return [(await http.get(path)).status_code for _ in range(number)]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("users/me/", "users"),
        ("workspaces/", "workspaces"),
        (f"workspaces/{WORKSPACE}/balance", "workspaces"),
        ("studies/", "studies"),
        (f"studies/{STROOP}", "study"),
        (f"studies/{STROOP}/submissions/", "submissions"),
        (f"studies/{STROOP}/submissions/counts/", "counts"),
        (f"submissions/?study={STROOP}", "submissions"),
        ("submissions/65f0000000000000000000aa/", "submission"),
        ("submissions/65f0000000000000000000aa/transition/", "transition"),
        ("submissions/65f0000000000000000000aa/request-return/", "request-return"),
        ("submissions/bulk-approve/", "bulk-approve"),
        ("messages/unread/", "messages"),
        ("participant-groups/65f0000000000000000000aa/participants/", "participant-groups"),
        ("hooks/subscriptions/65f0000000000000000000aa/events/", "hooks"),
        ("projects/", "other"),
        ("", "other"),
    ],
)
async def test_api_call_is_recorded_with_its_kind(
    path: str, kind: str, http: httpx.AsyncClient, state: SandboxState
) -> None:
    await http.get(f"/api/v1/{path}")
    await http.get("/sandbox/state/")
    assert state.faults.seen == [kind]


def test_every_kind_of_call_has_a_tested_path() -> None:
    marks = test_api_call_is_recorded_with_its_kind.pytestmark  # type: ignore[attr-defined]
    assert {kind for _, kind in marks[0].args[1]} == set(KINDS)
    assert kind_of("/api/v1/") == "other"


async def test_fault_affects_its_count_of_calls_of_its_endpoint_only(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.faults.add(Fault("users", 500, count=2), Fault("users", 502))
    assert await statuses(http, 1, "/api/v1/workspaces/") == [200]
    assert await statuses(http, 4) == [500, 500, 502, 200]


async def test_fault_without_a_count_lasts_until_cleared(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.faults.add(Fault("users", 500, count=None))
    assert await statuses(http, 5) == [500] * 5
    state.faults.clear()
    assert await statuses(http, 1) == [200]


async def test_fault_with_a_share_is_random_by_the_seed(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.faults.add(Fault(status=500, count=None, share=0.3))
    found = await statuses(near_http, 300)
    assert 60 < found.count(500) < 120
    again = Faults(seeded(11)), Faults(seeded(11))
    for faults in again:
        faults.add(Fault(status=500, count=None, share=0.3))
    first, second = ([faults.meet("users") is None for _ in range(50)] for faults in again)
    assert first == second


async def test_fault_with_a_window_begins_and_ends_by_the_clock(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    now = 100.0
    state.faults = Faults(state.random, lambda: now)
    state.faults.add(Fault(status=500, count=None, after=10, seconds=5))
    for now, status in ((109.9, 200), (110.0, 500), (114.9, 500), (115.0, 200)):  # noqa: B007 - the clock
        assert await statuses(http, 1) == [status]
    assert state.faults.waiting() == []


async def test_downtime_answers_503_and_uses_up_no_other_fault(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    now = 0.0
    state.faults = Faults(state.random, lambda: now)
    state.faults.add(Fault("users", 400))
    state.faults.down(30)
    assert await statuses(http, 2) == [503, 503]
    assert await statuses(http, 1, f"/api/v1/studies/{STROOP}/") == [503]
    now = 30.0
    assert await statuses(http, 2) == [400, 200]


async def test_downtime_can_refuse_connections_until_cleared(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.faults.down(how="refuse")
    for _ in range(3):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await http.get(USER)
    state.faults.clear()
    assert await statuses(http, 1) == [200]


async def test_fault_status_replaces_the_response(
    prolific: Prolific, state: SandboxState, submission: SimSubmission
) -> None:
    state.faults.add(Fault("transition", 400))
    with pytest.raises(BadRequest, match="A bad day"):
        await prolific.transition(submission.id, APPROVE)
    assert submission.status is Status.AWAITING_REVIEW
    assert state.calls_for(submission.id) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("transition", 500, took_effect=True),
        Fault("transition", reset=True, took_effect=True),
        Fault("transition", truncate=True),
    ],
)
async def test_fault_can_lose_the_response_of_an_applied_request(
    fault: Fault, http: httpx.AsyncClient, state: SandboxState, submission: SimSubmission
) -> None:
    state.faults.add(fault)
    path = f"/api/v1/submissions/{submission.id}/transition/"
    try:
        assert (await http.post(path, json=APPROVE)).status_code == 500
    except httpx.RemoteProtocolError:
        assert fault.status is None
    assert submission.status is Status.APPROVED
    assert [call.status_code for call in state.calls_for(submission.id)] == [200]


async def test_fault_reset_cuts_the_connection_without_effect(
    prolific: Prolific, http: httpx.AsyncClient, state: SandboxState, submission: SimSubmission
) -> None:
    state.faults.add(Fault("transition", reset=True))
    with pytest.raises(Unreachable) as caught:
        await prolific.transition(submission.id, APPROVE)
    assert caught.value.sent
    assert submission.status is Status.AWAITING_REVIEW
    again = await http.post(f"/api/v1/submissions/{submission.id}/transition/", json=APPROVE)
    assert again.json()["status"] == "APPROVED"


@pytest.mark.parametrize("status", [None, 500])
async def test_fault_truncate_sends_half_of_the_body(
    status: int | None, http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.faults.add(Fault("users", status, truncate=True))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await http.get(USER)
    state.faults.add(Fault("users", status, truncate=True))
    async with http.stream("GET", USER) as response:
        promised, came = int(response.headers["content-length"]), b""
        parts = aiter(response.aiter_raw())
        with suppress(httpx.RemoteProtocolError):
            while True:
                came += await anext(parts)
    assert response.status_code == (status or 200)
    assert 0 < len(came) == promised // 2


async def test_fault_latency_delays_the_true_response(
    http: httpx.AsyncClient, state: SandboxState, submission: SimSubmission
) -> None:
    """With ``took_effect`` the request is applied before the delay, else after it."""
    for took_effect, status in ((False, Status.AWAITING_REVIEW), (True, Status.APPROVED)):
        submission.status, submission.last_request = Status.AWAITING_REVIEW, None
        state.faults.add(Fault("transition", latency=0.3, took_effect=took_effect))
        begun, seen = time.monotonic(), len(state.faults.seen)
        call = asyncio.create_task(
            http.post(f"/api/v1/submissions/{submission.id}/transition/", json=APPROVE)
        )
        async with asyncio.timeout(60):
            while len(state.faults.seen) == seen:
                await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert submission.status is status
        assert (await call).json()["status"] == "APPROVED"
        assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize(("said", "seconds"), [(7, 7.0), ("8", 8.0), ("soon", None)])
async def test_fault_429_may_have_retry_after(
    said: int | str, seconds: float | None, prolific: Prolific, state: SandboxState
) -> None:
    state.faults.add(Fault("users", 429, retry_after=said))
    with pytest.raises(RateLimited) as caught:
        await prolific.me()
    assert caught.value.retry_after == seconds


async def test_fault_body_accepts_any_bytes(http: httpx.AsyncClient, state: SandboxState) -> None:
    state.faults.add(Fault("users", 502, body=b"<html>Bad Gateway</html>"), Fault("users", body=b""))
    response = await http.get(USER)
    assert (response.status_code, response.text) == (502, "<html>Bad Gateway</html>")
    response = await http.get(USER)
    assert (response.status_code, response.content) == (200, b"")


async def test_fault_then_status_changes_the_submission_before_the_call(
    prolific: Prolific, state: SandboxState, submission: SimSubmission
) -> None:
    state.faults.add(Fault("transition", then_status=Status.REJECTED))
    with pytest.raises(BadRequest, match="REJECTED"):
        await prolific.transition(submission.id, APPROVE)
    assert (submission.history[-1].status, submission.history[-1].by) == (Status.REJECTED, By.SOMEBODY)
    state.faults.add(Fault("submission", then_status=Status.APPROVED))
    assert (await prolific.submission(submission.id)).status is Status.APPROVED


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("endpoint", {"endpoint": "transitions"}),
        ("status", {"status": 99}),
        ("count", {"count": 0}),
        ("share", {"share": 0}),
        ("share", {"share": 1.1}),
        ("latency", {"latency": -1}),
        ("after", {"after": -1}),
        ("seconds", {"seconds": 0}),
        ("took_effect", {"took_effect": "no"}),
    ],
)
async def test_invalid_fault_is_refused_naming_its_field(
    name: str, values: dict[str, Any], http: httpx.AsyncClient, state: SandboxState
) -> None:
    with pytest.raises(ValueError, match=name):
        Fault(**values)
    response = await http.post("/sandbox/faults/", json=values)
    assert response.status_code == 400
    assert name in response.text
    assert state.faults.waiting() == []


async def test_control_routes_add_show_and_clear_faults(
    http: httpx.AsyncClient, state: SandboxState, submission: SimSubmission
) -> None:
    given = {
        "endpoint": "transition",
        "status": 502,
        "count": 2,
        "body": "<html>",
        "then_status": "TIMED-OUT",
    }
    added = await http.post("/sandbox/faults/", json=given)
    assert added.status_code == 201
    assert [added.fault for added in state.faults.waiting()] == [
        Fault("transition", 502, count=2, body=b"<html>", then_status=Status.TIMED_OUT)
    ]
    response = await http.post(f"/api/v1/submissions/{submission.id}/transition/", json=APPROVE)
    assert (response.status_code, response.text) == (502, "<html>")
    told = (await http.get("/sandbox/faults/")).json()
    assert told["seen"] == {"transition": 1}
    assert told["results"][0]["left"] == 1
    assert given.items() <= told["results"][0].items()
    assert (await http.delete("/sandbox/faults/")).status_code == 204
    assert (await http.get("/sandbox/faults/")).json()["results"] == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"then_status": "PONDERED"}, "then_status"),
        ({"then_status": 3}, "then_status"),
        ({"body": 3}, "fault"),
        ({"status": "many"}, "fault"),
    ],
)
async def test_control_route_refuses_an_invalid_fault_naming_the_field(
    wrong: dict[str, Any], named: str, http: httpx.AsyncClient, state: SandboxState
) -> None:
    response = await http.post("/sandbox/faults/", json=wrong)
    assert response.status_code == 400
    assert named in response.json()["error"]["detail"]
    assert state.faults.waiting() == []


async def test_control_routes_answer_during_downtime(http: httpx.AsyncClient, state: SandboxState) -> None:
    await http.post("/sandbox/faults/", json={"endpoint": ANY, "reset": True, "count": None})
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(USER)
    assert (await http.get("/sandbox/state/")).status_code == 200
    assert (await http.delete("/sandbox/faults/")).status_code == 204
    assert await statuses(http, 1) == [200]
