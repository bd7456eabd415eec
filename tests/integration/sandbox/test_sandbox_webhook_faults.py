"""Webhook faults: lost, doubled, reordered, reformatted."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import httpx
import pytest

from service.sandbox.delivery import sign
from service.sandbox.faults import WebhookFaults
from service.sandbox.hooks import JsonStyle
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import STROOP

SECRET = "s3cr3t-example-value"
Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Receiver(Protocol):
    fails: list[int]
    deliveries: list[Any]
    url: str


@pytest.fixture
def pointed(base_url: str, state: SandboxState, receiver: Receiver) -> Receiver:
    state.hooks.point_at(WORKSPACE, receiver.url, SECRET)
    return receiver


async def test_webhook_fault_loses_a_webhook(
    pointed: Receiver, state: SandboxState, http: httpx.AsyncClient
) -> None:
    state.webhooks.lose = 0.5
    lost = [state.reserve(STROOP).id for _ in range(40)]
    state.webhooks.lose = 0.0
    last = state.reserve(STROOP)
    async with asyncio.timeout(60):
        while (await http.get("/sandbox/state/")).json()["in_delivery"]:
            pass
    came = {json.loads(one.body)["resource_id"] for one in pointed.deliveries}
    assert last.id in came
    assert 8 < len(came & set(lost)) < 32
    assert state.hooks.count_events() == {"PENDING": 41 - len(came), "SUCCEEDED": len(came), "FAILED": 0}


async def test_webhook_fault_sends_a_webhook_twice_with_one_id(
    pointed: Receiver, state: SandboxState, until: Until
) -> None:
    state.webhooks.duplicate = 1.0
    state.reserve(STROOP)
    await until(lambda: len(pointed.deliveries) == 2)
    assert len({one.event_id for one in pointed.deliveries}) == len(state.hooks.events) == 1
    assert all(one.is_signed_with(SECRET) for one in pointed.deliveries)


async def test_webhook_fault_changes_the_order(pointed: Receiver, state: SandboxState, until: Until) -> None:
    state.webhooks.reorder = 0.2
    made = [state.reserve(STROOP).id for _ in range(20)]
    await until(lambda: len(pointed.deliveries) == 20)
    came = [json.loads(one.body)["resource_id"] for one in pointed.deliveries]
    assert sorted(came) == sorted(made)
    assert came != made


@pytest.mark.parametrize(("sent", "signed"), [(JsonStyle.COMPACT, JsonStyle.SPACED)])
async def test_webhook_fault_reformats_the_signed_body(
    sent: JsonStyle, signed: JsonStyle, pointed: Receiver, state: SandboxState, until: Until
) -> None:
    state.webhooks.respace = sent
    state.reserve(STROOP)
    await until(lambda: len(pointed.deliveries) == 1)
    delivery = pointed.deliveries[0]
    payload = json.loads(delivery.body)
    assert delivery.body == sent.body(payload)
    assert not delivery.is_signed_with(SECRET)
    timestamp = delivery.headers["x-prolific-request-timestamp"]
    assert delivery.headers["x-prolific-request-signature"] == sign(SECRET, timestamp, signed.body(payload))


async def test_webhook_faults_are_set_by_a_control_route(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    assert (
        await http.post("/sandbox/webhooks/", json={"lose": 0.5, "respace": "compact"})
    ).status_code == 200
    told = (await http.post("/sandbox/webhooks/", json={"duplicate": 1, "lose": 0})).json()
    assert state.webhooks == WebhookFaults(duplicate=1, respace=JsonStyle.COMPACT)
    assert told == (await http.get("/sandbox/webhooks/")).json()
    assert told == {"lose": 0, "duplicate": 1, "reorder": 0.0, "respace": "compact"}
    await http.post("/sandbox/webhooks/", json={"respace": None})
    assert state.webhooks.respace is None


@pytest.mark.parametrize(
    "wrong", [{"lost": 1}, {"lose": 2}, {"reorder": -1}, {"respace": "wide"}, {"lose": "x"}]
)
async def test_invalid_webhook_fault_is_refused(
    wrong: dict[str, Any], http: httpx.AsyncClient, state: SandboxState
) -> None:
    response = await http.post("/sandbox/webhooks/", json=wrong)
    assert response.status_code == 400
    assert ("lost" in response.text) is ("lost" in wrong)
    assert state.webhooks == WebhookFaults()
