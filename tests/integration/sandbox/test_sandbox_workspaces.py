"""Workspaces: secrets, balance, and the limit of rejections."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from service.domain.submission import Status
from service.sandbox.model import SimSubmission
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import STROOP, TWO_PARTS

Until = Callable[[Callable[[], bool]], Awaitable[None]]
OTHER = "5f0c3a1be7d94c0d99999999"
API = "/api/v1"
REJECT = {"action": "REJECT", "rejection_category": "OTHER", "message": "m" * 100}
HALF = {
    "action": "COMPLETE",
    "completion_code": "PAYPART7",
    "completion_code_data": {"percentage_of_reward": 50},
}
SCREEN_OUT = {"action": "COMPLETE", "completion_code": "SCR33N04"}


def awaiting(state: SandboxState, study_id: str = STROOP) -> SimSubmission:
    submission = state.reserve(study_id)
    state.complete(submission, None, time_taken=600)
    return submission


async def transition(
    http: httpx.AsyncClient, submission: SimSubmission, body: dict[str, Any]
) -> httpx.Response:
    return await http.post(f"{API}/submissions/{submission.id}/transition/", json=body)


async def test_workspace_has_its_own_secret_and_subscriptions(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.workspaces[OTHER] = "The other lab"
    listed = (await http.get(f"{API}/workspaces/")).json()["results"]
    assert [(one["id"], one["title"]) for one in listed] == [
        (WORKSPACE, "Sandbox"),
        (OTHER, "The other lab"),
    ]
    values = set()
    for workspace in (WORKSPACE, OTHER):
        made = await http.post(f"{API}/hooks/secrets/", json={"workspace_id": workspace})
        assert (made.status_code, made.json()["workspace_id"]) == (201, workspace)
        kept = (await http.get(f"{API}/hooks/secrets/", params={"workspace_id": workspace})).json()["results"]
        assert kept == [made.json()]
        values.add(made.json()["value"])
        wish = {"workspace_id": workspace, "event_type": "submission.status.change"}
        made = await http.post(f"{API}/hooks/subscriptions/", json=wish | {"target_url": "https://x.test/"})
        assert made.json()["results"][0]["workspace_id"] == workspace
    assert len(values) == 2
    query = {"workspace_id": OTHER, "is_enabled": "false"}
    found = (await http.get(f"{API}/hooks/subscriptions/", params=query)).json()["results"]
    assert [one["workspace_id"] for one in found] == [OTHER]


@pytest.mark.parametrize("workspace", ["none-such", 3])
async def test_workspace_of_other_people_is_refused(workspace: Any, http: httpx.AsyncClient) -> None:
    refused = await http.post(f"{API}/hooks/secrets/", json={"workspace_id": workspace})
    assert refused.status_code == 400
    assert (await http.get(f"{API}/workspaces/{workspace}/balance/")).status_code == 404


@pytest.mark.parametrize(
    ("study", "body", "pays"),
    [
        (STROOP, {"action": "APPROVE"}, 180),
        (STROOP, REJECT, 0),
        (TWO_PARTS, HALF, 188),
        (TWO_PARTS, SCREEN_OUT, 40),
    ],
)
async def test_transition_reduces_the_balance(
    study: str, body: dict[str, Any], pays: int, http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.balance = 1000
    submission = awaiting(state, study)
    for _ in range(2):  # the repeat changes nothing
        assert (await transition(http, submission, body)).status_code == 200
    assert state.balance == 1000 - pays
    balance = (await http.get(f"{API}/workspaces/{WORKSPACE}/balance/")).json()
    assert balance["available_balance"] == balance["total_balance"] == 1000 - pays
    assert (await http.get(f"{API}/users/me/")).json()["available_balance"] == 1000 - pays


async def test_approval_without_funds_is_refused_without_effect(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.balance = 179
    submission = awaiting(state)
    refused = await transition(http, submission, {"action": "APPROVE"})
    assert refused.status_code == 400
    assert "funds" in refused.json()["error"]["detail"]
    assert (submission.status, state.balance) == (Status.AWAITING_REVIEW, 179)
    state.balance = 180
    assert (await transition(http, submission, {"action": "APPROVE"})).status_code == 200
    assert state.balance == 0


async def test_bulk_approval_stops_when_funds_are_used_up(
    http: httpx.AsyncClient, state: SandboxState, until: Until
) -> None:
    state.balance = 400
    made = [awaiting(state) for _ in range(3)]
    ids = [submission.id for submission in made]
    assert (
        await http.post(f"{API}/submissions/bulk-approve/", json={"submission_ids": ids})
    ).status_code == 200
    await until(lambda: state.balance == 40)
    assert [submission.status for submission in made] == [
        Status.APPROVED,
        Status.APPROVED,
        Status.AWAITING_REVIEW,
    ]


async def test_rejection_over_the_limit_is_refused_while_approvals_are_accepted(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.rejection_limit = 2
    made = [awaiting(state) for _ in range(3)]
    assert [(await transition(http, one, REJECT)).status_code for one in made] == [200, 200, 400]
    assert made[2].status is Status.AWAITING_REVIEW
    assert (await transition(http, made[2], {"action": "APPROVE"})).status_code == 200
