"""Responses of the sandbox, validated by Prolific's OpenAPI schemas.

Where the schemas contradict the prose beside them, ``GAPS`` says so; nothing else is let through.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from service.domain.submission import Status
from service.sandbox.messages import MessageStyle
from service.sandbox.model import ReturnAnswer, SimSubmission
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import PROJECT, STROOP, TWO_PARTS

SPEC = Path(__file__).resolve().parents[4] / "shared" / "reference" / "prolific-openapi.yaml"
pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason=f"Prolific's OpenAPI document is not there: {SPEC.parent.name}/{SPEC.name}"
)

GAPS = {
    # A transition's prose names PARTIALLY APPROVED as an outcome, and lists show such submissions.
    "SubmissionStatus": ["PARTIALLY APPROVED"],
    "SubmissionShortStatus": ["PARTIALLY APPROVED"],
    # "Either use one of the predefined options or any other free text."
    "CreateStudyCompletionCodesItemsCodeType": ["HALF_DONE", "PARTIAL_PAYMENT", "SCREENED_OUT_PAYMENT"],
}
PLAIN = "C0L0UR12"
API = "/api/v1"
PARTICIPANT = "65f0000000000000000000bb"

Make = Callable[..., SimSubmission]


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(SPEC.read_text(encoding="utf-8"), yaml.CSafeLoader)
    for name, missing in GAPS.items():
        loaded["components"]["schemas"][name]["enum"] += missing
    return loaded


def holds(body: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": document()["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)


def holds_as(method: str, path: str, response: httpx.Response) -> None:
    """Validate a response by the document's schema of this method, path and status. All errors have the schema of 400."""
    responses = document()["paths"][f"{API}{path}"][method]["responses"]
    status = str(response.status_code if response.is_success else 400)
    assert status in responses, f"{method} {path} answered {response.status_code}"
    holds(response.json(), responses[status]["content"]["application/json"]["schema"])


@pytest.fixture
def make(state: SandboxState) -> Make:
    """Return a new submission that awaits review."""

    def one(study_id: str = STROOP, code: str | None = PLAIN, returns: float | None = None) -> SimSubmission:
        submission = state.reserve(study_id)
        submission.answer_to_return = ReturnAnswer(returns)
        state.start(submission)
        state.complete(submission, code, time_taken=600)
        return submission

    return one


SIMPLE = [
    ("/users/me/", "/users/me/"),
    ("/workspaces/", "/workspaces/"),
    ("/workspaces/{workspace_id}/", f"/workspaces/{WORKSPACE}/"),
    ("/workspaces/{workspace_id}/balance/", f"/workspaces/{WORKSPACE}/balance/"),
    ("/workspaces/{workspace_id}/projects/", f"/workspaces/{WORKSPACE}/projects/"),
    ("/projects/{project_id}/studies/", f"/projects/{PROJECT}/studies/"),
    ("/studies/", "/studies/"),
    ("/studies/{id}/", f"/studies/{STROOP}/"),
    ("/studies/{id}/", f"/studies/{TWO_PARTS}/"),
    ("/studies/{id}/submissions/", f"/studies/{STROOP}/submissions/"),
    ("/studies/{id}/submissions/counts/", f"/studies/{STROOP}/submissions/counts/"),
    ("/submissions/", f"/submissions/?study={STROOP}"),
    ("/hooks/event-types/", "/hooks/event-types/"),
    ("/hooks/secrets/", f"/hooks/secrets/?workspace_id={WORKSPACE}"),
    ("/hooks/subscriptions/", "/hooks/subscriptions/"),
]
WRONG = [
    ("/studies/{id}/", "/studies/none-such/"),
    ("/studies/{id}/submissions/", "/studies/none-such/submissions/"),
    ("/studies/{id}/submissions/", f"/studies/{STROOP}/submissions/?ordering=colour"),
    ("/studies/{id}/submissions/counts/", "/studies/none-such/submissions/counts/"),
    ("/submissions/", "/submissions/"),
    ("/submissions/", f"/submissions/?study={STROOP}&page=99"),
    ("/submissions/", f"/submissions/?study={STROOP}&status=PONDERED"),
    ("/submissions/{id}/", "/submissions/none-such/"),
    ("/workspaces/{workspace_id}/", "/workspaces/none-such/"),
    ("/workspaces/{workspace_id}/balance/", "/workspaces/none-such/balance/"),
    ("/workspaces/{workspace_id}/projects/", "/workspaces/none-such/projects/"),
    ("/projects/{project_id}/studies/", "/projects/none-such/studies/"),
    ("/projects/{project_id}/studies/", f"/projects/{PROJECT}/studies/?ordering=colour"),
    ("/messages/", "/messages/"),
    ("/messages/", "/messages/?created_after=yesterday"),
    ("/messages/", "/messages/?created_after=2020-01-01T00:00:00Z"),
    ("/hooks/secrets/", "/hooks/secrets/"),
    ("/hooks/subscriptions/", "/hooks/subscriptions/?is_enabled=perhaps"),
    ("/hooks/subscriptions/{subscription_id}/", "/hooks/subscriptions/none-such/"),
    ("/hooks/subscriptions/{subscription_id}/events/", "/hooks/subscriptions/none-such/events/"),
]


@pytest.mark.parametrize(("path", "asked"), SIMPLE)
async def test_lists_and_details_match_the_specification(
    path: str, asked: str, near_http: httpx.AsyncClient, make: Make, state: SandboxState
) -> None:
    for status in Status:
        if status not in (Status.UNKNOWN, Status.PROCESSING):
            make().status = status
    state.reserve(STROOP)
    state.hooks.point_at(WORKSPACE, "http://127.0.0.1:9/hook", "secret")
    response = await near_http.get(API + asked)
    assert response.status_code == 200
    holds_as("get", path, response)


@pytest.mark.parametrize(("path", "asked"), WRONG)
async def test_refused_get_has_the_specified_envelope(
    path: str, asked: str, near_http: httpx.AsyncClient
) -> None:
    response = await near_http.get(API + asked)
    assert response.status_code in (400, 404)
    holds_as("get", path, response)


@pytest.mark.parametrize("path", sorted({path for path, _ in SIMPLE}))
async def test_every_endpoint_without_the_token_answers_401_in_its_envelope(
    path: str, near_http: httpx.AsyncClient
) -> None:
    response = await near_http.get(
        API
        + path.replace("{id}", STROOP).replace("{workspace_id}", WORKSPACE).replace("{project_id}", PROJECT),
        headers={"Authorization": "Token wrong"},
    )
    assert response.status_code == 401
    holds_as("get", path, response)


async def test_submission_matches_the_specification_in_every_status(
    near_http: httpx.AsyncClient, make: Make
) -> None:
    submission = make()
    for status in Status:
        if status is not Status.PROCESSING:
            submission.status = status
            response = await near_http.get(f"{API}/submissions/{submission.id}/")
            holds_as("get", "/submissions/{id}/", response)


TRANSITIONS: list[tuple[str, dict[str, Any], str]] = [
    (STROOP, {"action": "APPROVE"}, "APPROVED"),
    (STROOP, {"action": "REJECT", "rejection_category": "OTHER", "message": "m" * 100}, "REJECTED"),
    (TWO_PARTS, {"action": "COMPLETE", "completion_code": "SCR33N04"}, "SCREENED OUT"),
    (
        TWO_PARTS,
        {
            "action": "COMPLETE",
            "completion_code": "PAYPART7",
            "completion_code_data": {"percentage_of_reward": 50},
        },
        "PARTIALLY APPROVED",
    ),
]


@pytest.mark.parametrize(("study_id", "body", "status"), TRANSITIONS)
async def test_transition_accepts_the_specified_body_and_matches_the_specification(
    study_id: str, body: dict[str, Any], status: str, near_http: httpx.AsyncClient, make: Make
) -> None:
    holds(body, {"$ref": "#/components/schemas/SubmissionTransition"})
    submission = make(study_id)
    response = await near_http.post(f"{API}/submissions/{submission.id}/transition/", json=body)
    assert (response.status_code, response.json()["status"]) == (200, status)
    holds_as("post", "/submissions/{id}/transition/", response)


@pytest.mark.parametrize("body", [{}, {"action": "DANCE"}, {"action": "REJECT", "message": "short"}])
async def test_refused_transition_has_the_specified_envelope(
    body: dict[str, Any], near_http: httpx.AsyncClient, make: Make
) -> None:
    response = await near_http.post(f"{API}/submissions/{make().id}/transition/", json=body)
    assert response.status_code == 400
    holds_as("post", "/submissions/{id}/transition/", response)


@pytest.mark.parametrize(("returns", "status"), [(None, "AWAITING REVIEW"), (0, "RETURNED")])
async def test_request_to_return_and_its_repeat_match_the_specification(
    returns: float | None, status: str, near_http: httpx.AsyncClient, make: Make
) -> None:
    path, body = (
        f"{API}/submissions/{make(returns=returns).id}/request-return/",
        {"request_return_reasons": ["x"]},
    )
    for expected in (200, 400):
        response = await near_http.post(path, json=body)
        assert response.status_code == expected
        holds_as("post", "/submissions/{id}/request-return/", response)
        assert expected != 200 or response.json()["status"] == status


SPELT_BY_THE_CLI = {"datetime_created": "sent_at", "sender": "sender_id"}


@pytest.mark.parametrize("path", ["/messages/", "/messages/unread/"])
async def test_messages_match_the_specification_except_for_the_names_of_the_cli(
    path: str, near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.write_message(PARTICIPANT, STROOP, "Hello.", category="feedback")
    state.write_message(PARTICIPANT, None, "Hello?")
    for style in (MessageStyle.SPEC, MessageStyle.LIVE):
        state.messages.style = style
        response = await near_http.get(API + path, params={"user_id": PARTICIPANT})
        rows = [
            {SPELT_BY_THE_CLI.get(name, name): value for name, value in row.items()}
            for row in response.json()["results"]
        ]
        assert len(rows) == 2
        assert style is MessageStyle.LIVE or rows == response.json()["results"]
        holds({"results": rows}, {"$ref": "#/components/schemas/Messages"})
    refused = await near_http.get(API + path, headers={"Authorization": "Token wrong"})
    assert refused.status_code == 401
    holds_as("get", path, refused)


async def test_sent_message_accepts_the_specified_body_and_refuses_as_specified(
    near_http: httpx.AsyncClient,
) -> None:
    body = {"recipient_id": PARTICIPANT, "body": "Hello.", "study_id": STROOP}
    holds(body, {"$ref": "#/components/schemas/SendMessage"})
    assert (await near_http.post(f"{API}/messages/", json=body)).status_code == 204
    holds_as("post", "/messages/", await near_http.post(f"{API}/messages/", json={}))


async def test_bulk_approval_matches_the_specification(near_http: httpx.AsyncClient, make: Make) -> None:
    path = "/submissions/bulk-approve/"
    for ids, expected in (([make().id], 200), (["none-such"], 400)):
        response = await near_http.post(API + path, json={"submission_ids": ids})
        assert response.status_code == expected
        holds_as("post", path, response)


async def test_hooks_match_the_specification_from_secret_to_events(
    near_http: httpx.AsyncClient, make: Make, state: SandboxState
) -> None:
    hooks, one = f"{API}/hooks", "/hooks/subscriptions/{subscription_id}/"
    wish = {
        "workspace_id": WORKSPACE,
        "event_type": "submission.status.change",
        "target_url": "https://x.test/",
    }
    too_early = await near_http.post(f"{hooks}/subscriptions/", json=wish)
    assert too_early.status_code == 400
    holds_as("post", "/hooks/subscriptions/", too_early)

    secret = await near_http.post(f"{hooks}/secrets/", json={"workspace_id": WORKSPACE})
    assert secret.status_code == 201
    holds_as("post", "/hooks/secrets/", secret)

    made = await near_http.post(f"{hooks}/subscriptions/", json=wish)
    assert made.status_code == 201
    holds_as("post", "/hooks/subscriptions/", made)
    path = f"{hooks}/subscriptions/{made.json()['results'][0]['id']}/"

    for confirmation, expected in (("wrong", 400), (made.headers["X-Hook-Secret"], 200)):
        confirmed = await near_http.post(path, json={"secret": confirmation})
        assert confirmed.status_code == expected
        holds_as("post", one, confirmed)

    make()
    listed = await near_http.get(path + "events/")
    assert len(listed.json()["results"]) == len(state.hooks.events) == 3
    holds_as("get", one + "events/", listed)
    holds_as("patch", one, await near_http.patch(path, json={"is_enabled": False}))
    holds_as("get", one, await near_http.get(path))
    assert (await near_http.delete(path)).status_code == 204
