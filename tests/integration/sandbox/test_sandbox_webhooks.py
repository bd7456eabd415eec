"""Webhooks of the sandbox: signature, retries, subscriptions."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
import pytest

from service.domain.submission import Status
from service.sandbox.app import create_app
from service.sandbox.delivery import TRIES, sign
from service.sandbox.hooks import Event, EventStatus, JsonStyle
from service.sandbox.model import By
from service.sandbox.server import running
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import STROOP

SECRET = "s3cr3t-example-value"
PAYLOAD = {
    "resource_id": "65f0000000000000000000aa",
    "event_type": "submission.status.change",
    "participant_id": "65f0000000000000000000bb",
    "status": "AWAITING REVIEW",
}
Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Delivery(Protocol):
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str: ...
    def is_signed_with(self, secret: str) -> bool: ...


class Receiver(Protocol):
    fails: list[int]
    deliveries: list[Any]
    url: str


@pytest.mark.parametrize(
    ("style", "signature"),
    [
        (JsonStyle.SPACED, "rORU4Nkn7k1P7ujJkZxz8jIdMq3iisRqFqAFEGqJjwc="),
        (JsonStyle.COMPACT, "8d7TfNc0ahn1DG2ZokdqM/MBnoPgJCMgr4WuLNL7Zq4="),
    ],
)
def test_webhook_signature_equals_the_reference_vectors(style: JsonStyle, signature: str) -> None:
    assert sign(SECRET, "1767225600", style.body(PAYLOAD)) == signature


async def test_status_change_sends_a_signed_webhook(
    base_url: str, state: SandboxState, receiver: Receiver, until: Until
) -> None:
    state.hooks.point_at(WORKSPACE, receiver.url, SECRET)
    submission = state.reserve(STROOP)
    state.start(submission)
    state.complete(submission, "C0L0UR12", time_taken=600)
    await until(lambda: len(receiver.deliveries) == 3)
    assert all(delivery.is_signed_with(SECRET) for delivery in receiver.deliveries)
    bodies = [json.loads(delivery.body) for delivery in receiver.deliveries]
    assert {body["status"] for body in bodies} == {"RESERVED", "ACTIVE", "AWAITING REVIEW"}
    assert all(
        body
        == {
            "resource_id": submission.id,
            "event_type": "submission.status.change",
            "participant_id": submission.participant_id,
            "status": body["status"],
        }
        for body in bodies
    )
    assert len({delivery.event_id for delivery in receiver.deliveries}) == 3
    assert int(receiver.deliveries[0].headers["x-timestamp"]) <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize(("style", "part"), [(JsonStyle.SPACED, b'": "'), (JsonStyle.COMPACT, b'":"')])
async def test_webhook_body_has_spaced_or_compact_json(
    style: JsonStyle, part: bytes, state: SandboxState, receiver: Receiver, until: Until
) -> None:
    state.hooks.point_at(WORKSPACE, receiver.url, SECRET)
    async with running(create_app(state, json_style=style)):
        state.reserve(STROOP)
        await until(lambda: len(receiver.deliveries) == 1)
    assert part in receiver.deliveries[0].body
    assert receiver.deliveries[0].is_signed_with(SECRET)


@pytest.mark.parametrize("status_code", [500, 404, 301])
async def test_failed_delivery_is_retried_with_the_same_event_id(
    status_code: int, base_url: str, state: SandboxState, receiver: Receiver, until: Until
) -> None:
    receiver.fails = [status_code] * 3
    state.hooks.point_at(WORKSPACE, receiver.url, SECRET)
    state.reserve(STROOP)
    [event] = state.hooks.events.values()
    await until(lambda: event.status is EventStatus.SUCCEEDED)
    assert [delivery.event_id for delivery in receiver.deliveries] == [event.id] * 4
    assert all(delivery.is_signed_with(SECRET) for delivery in receiver.deliveries)


async def test_delivery_fails_after_twelve_tries(state: SandboxState, until: Until) -> None:
    state.timers.time_scale = 1e7
    state.hooks.point_at(WORKSPACE, "http://nowhere/hook", SECRET)
    tried: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        raise httpx.ConnectError("nobody there")

    app = create_app(state, webhook_transport=httpx.MockTransport(refuse))
    async with running(app) as base_url, httpx.AsyncClient(base_url=base_url) as http:
        state.reserve(STROOP)
        [event] = state.hooks.events.values()
        await until(lambda: event.tries == TRIES)
        assert event.status is EventStatus.FAILED
        async with asyncio.timeout(60):
            while (await http.get("/sandbox/state/")).json()["in_delivery"]:
                pass
    assert len(tried) == TRIES == 12


async def test_change_with_notify_false_sends_no_webhook(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.hooks.point_at(WORKSPACE, "http://127.0.0.1:9/hook", SECRET)
    await http.post("/sandbox/submissions/", json={"study_id": STROOP, "notify": False})
    assert not state.hooks.events


async def test_webhooks_are_sent_only_between_confirmation_and_disabling(
    http: httpx.AsyncClient, state: SandboxState, receiver: Receiver, until: Until
) -> None:
    secret = (await http.post("/api/v1/hooks/secrets/", json={"workspace_id": WORKSPACE})).json()["value"]
    wish = {"workspace_id": WORKSPACE, "event_type": "submission.status.change", "target_url": receiver.url}
    made = await http.post("/api/v1/hooks/subscriptions/", json=wish)
    path = f"/api/v1/hooks/subscriptions/{made.json()['results'][0]['id']}/"
    submission = state.reserve(STROOP)

    await http.post(path, json={"secret": made.headers["X-Hook-Secret"]})
    state.start(submission)
    await until(lambda: len(receiver.deliveries) == 1)
    assert receiver.deliveries[0].is_signed_with(secret)
    assert json.loads(receiver.deliveries[0].body)["status"] == "ACTIVE"

    await http.patch(path, json={"is_enabled": False})
    state.complete(submission, None)
    assert len(state.hooks.events) == 1
    listed = "/api/v1/hooks/subscriptions/"
    assert (await http.get(listed)).json()["results"] == []
    hidden = (await http.get(f"{listed}?is_enabled=false&workspace_id={WORKSPACE}")).json()["results"]
    assert [subscription["target_url"] for subscription in hidden] == [receiver.url]


async def test_new_secret_replaces_the_old_one_at_once(
    near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    path, body = "/api/v1/hooks/secrets/", {"workspace_id": WORKSPACE}
    first, second = [(await near_http.post(path, json=body)).json()["value"] for _ in range(2)]
    listed = (await near_http.get(path, params=body)).json()["results"]
    assert first != second
    assert [secret["value"] for secret in listed] == [second]


@pytest.mark.parametrize(
    "target", ["http://example.org/hook", "ftp://x", "nonsense", "https://", "http://[", 5, ""]
)
async def test_subscription_target_must_be_https_or_local(
    target: object, near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.hooks.new_secret(WORKSPACE)
    wish = {"workspace_id": WORKSPACE, "event_type": "submission.status.change", "target_url": target}
    assert (await near_http.post("/api/v1/hooks/subscriptions/", json=wish)).status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("?status=FAILED", 1),
        ('?status=["FAILED","PENDING"]', 2),
        ("?limit=2", 2),
        ("?limit=2&offset=2", 1),
        ("?resource_id=none-such", 0),
    ],
)
async def test_events_of_a_subscription_are_listed_by_status_resource_limit_and_offset(
    query: str, found: int, state: SandboxState, near_http: httpx.AsyncClient
) -> None:
    subscription = state.hooks.point_at(WORKSPACE, "http://127.0.0.1:9/hook", SECRET)
    for status in EventStatus:
        made: list[Event] = state.hooks.happen("submission.status.change", PAYLOAD)
        made[0].status = status
    path = f"/api/v1/hooks/subscriptions/{subscription.id}/events/"
    response, wrong = await near_http.get(path + query), await near_http.get(path + "?status=[1]")
    assert len(response.json()["results"]) == found
    assert wrong.status_code == 400


async def test_change_of_another_person_sends_a_webhook(
    base_url: str, state: SandboxState, receiver: Receiver, until: Until
) -> None:
    submission = state.reserve(STROOP)
    state.hooks.point_at(WORKSPACE, receiver.url, SECRET)
    state.change(submission, Status.REJECTED, By.SOMEBODY)
    await until(lambda: len(receiver.deliveries) == 1)
    assert json.loads(receiver.deliveries[0].body)["status"] == "REJECTED"
