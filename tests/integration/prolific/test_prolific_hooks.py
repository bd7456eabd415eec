"""The client's part for webhooks: secrets, subscriptions with their handshake, events; and workspaces."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service.prolific import Prolific
from service.prolific.errors import BadRequest, NotFound
from service.prolific.hooks import PAGE_SIZE, STATUS_CHANGE
from service.prolific.workspaces import Balance, Workspace
from service.sandbox.app import create_app
from service.sandbox.server import running, shipped_state
from service.sandbox.state import WORKSPACE, SandboxState
from tests.world import TOKEN

TARGET = "https://review.example.org/webhooks/prolific"


@pytest.fixture
def state() -> SandboxState:
    return shipped_state(seed=3)


@pytest.fixture
async def prolific(state: SandboxState) -> AsyncIterator[Prolific]:
    async with running(create_app(state, token=TOKEN)) as url, Prolific(url, lambda: TOKEN) as client:
        yield client


async def test_workspaces_balance_and_time_are_read(prolific: Prolific, state: SandboxState) -> None:
    state.balance = 12_345
    assert await prolific.workspaces() == (Workspace(WORKSPACE, "Sandbox"),)
    assert await prolific.balance(WORKSPACE) == Balance("GBP", total=12_345, available=12_345)
    told = await prolific.clock()
    assert told is not None
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=5)


async def test_a_secret_is_made_once_and_read_back_and_never_shown(prolific: Prolific) -> None:
    assert await prolific.hooks.secrets(WORKSPACE) == ()
    made = await prolific.hooks.new_secret(WORKSPACE)
    assert await prolific.hooks.secrets(WORKSPACE) == (made,)
    assert made.workspace_id == WORKSPACE
    assert len(made.value) > 20
    assert made.value not in repr(made)


async def test_a_subscription_sends_only_after_its_handshake(prolific: Prolific) -> None:
    hooks = prolific.hooks
    await hooks.new_secret(WORKSPACE)
    made, confirmation = await hooks.subscribe(WORKSPACE, STATUS_CHANGE, TARGET)
    assert (made.event_type, made.target_url, made.workspace_id) == (STATUS_CHANGE, TARGET, WORKSPACE)
    assert not made.is_enabled
    assert confirmation is not None
    with pytest.raises(BadRequest):
        await hooks.confirm(made.id, "another")
    await hooks.confirm(made.id, confirmation)
    (listed,) = await hooks.subscriptions(WORKSPACE)
    assert (listed.id, listed.is_enabled) == (made.id, True)


async def test_disabled_subscriptions_are_listed_too_unless_only_some_are_wanted(
    prolific: Prolific, state: SandboxState
) -> None:
    one = state.hooks.point_at(WORKSPACE, TARGET, "a-secret")
    two = state.hooks.subscribe(WORKSPACE, STATUS_CHANGE, f"{TARGET}/2")
    hooks = prolific.hooks
    assert {known.id for known in await hooks.subscriptions(WORKSPACE)} == {one.id, two.id}
    assert [known.id for known in await hooks.subscriptions(WORKSPACE, enabled=True)] == [one.id]
    assert [known.id for known in await hooks.subscriptions(enabled=False)] == [two.id]


async def test_a_subscription_is_changed_and_deleted(prolific: Prolific, state: SandboxState) -> None:
    known = state.hooks.point_at(WORKSPACE, TARGET, "a-secret")
    hooks = prolific.hooks
    changed = await hooks.update_subscription(known.id, is_enabled=False, target_url=f"{TARGET}/2")
    assert (changed.is_enabled, changed.target_url) == (False, f"{TARGET}/2")
    assert (await hooks.update_subscription(known.id, is_enabled=True)).target_url == f"{TARGET}/2"
    await hooks.delete_subscription(known.id)
    assert await hooks.subscriptions(WORKSPACE) == ()
    with pytest.raises(NotFound):
        await hooks.delete_subscription(known.id)


async def test_all_events_of_a_subscription_are_read_or_those_of_a_status(
    prolific: Prolific, state: SandboxState
) -> None:
    known = state.hooks.point_at(WORKSPACE, TARGET, "a-secret")
    for number in range(2 * PAGE_SIZE + 1):
        state.hooks.happen(STATUS_CHANGE, {"resource_id": f"s{number}", "event_type": STATUS_CHANGE})
    events = [event async for event in prolific.hooks.events(known.id)]
    assert [event.resource_id for event in events] == [f"s{number}" for number in range(2 * PAGE_SIZE + 1)]
    assert (events[0].status, events[0].event_type, events[0].target_url) == (
        "PENDING",
        STATUS_CHANGE,
        TARGET,
    )
    assert events[0].created_at is not None
    assert [event async for event in prolific.hooks.events(known.id, status="FAILED")] == []


def answering(body: Any, headers: dict[str, str] | None = None) -> Starlette:
    """A Prolific that answers everything with one body."""

    async def answer(_: Request) -> JSONResponse:
        return JSONResponse(body, status_code=201, headers=headers)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PATCH"])])


MADE = {
    "id": "h",
    "event_type": STATUS_CHANGE,
    "target_url": TARGET,
    "is_enabled": False,
    "workspace_id": "w",
}
OLDER = {**MADE, "id": "older", "target_url": "https://elsewhere.example.org/"}


@pytest.mark.parametrize(
    "body", [MADE, {"results": [MADE]}, {"results": [MADE, OLDER]}, {"id": "h"}, {"results": [{"id": "h"}]}]
)
async def test_a_made_subscription_is_read_alone_or_in_a_list(body: dict[str, Any]) -> None:
    app = answering(body, {"x-hook-secret": "confirm-me"})
    async with running(app) as url, Prolific(url, lambda: TOKEN) as prolific:
        made, confirmation = await prolific.hooks.subscribe("w", STATUS_CHANGE, TARGET)
    assert (made.id, made.event_type, made.target_url, made.workspace_id) == ("h", STATUS_CHANGE, TARGET, "w")
    assert confirmation == "confirm-me"


async def test_a_missing_confirmation_is_none_not_an_accident() -> None:
    async with running(answering(MADE)) as url, Prolific(url, lambda: TOKEN) as prolific:
        assert (await prolific.hooks.subscribe("w", STATUS_CHANGE, TARGET))[1] is None


async def test_subscription_left_disabled_after_a_change_is_reported() -> None:
    async with running(answering(MADE)) as url, Prolific(url, lambda: TOKEN) as prolific:
        assert not (await prolific.hooks.update_subscription("h", is_enabled=True)).is_enabled


class Listing:
    """Subscriptions in pages as different servers make them."""

    def __init__(self, *, pages: bool, counts: bool, filters: bool) -> None:
        self.rows = [{**MADE, "id": f"h{number}", "is_enabled": True} for number in range(PAGE_SIZE + 7)]
        self.pages, self.counts, self.filters = pages, counts, filters

    async def __call__(self, request: Request) -> JSONResponse:
        wanted = request.query_params["is_enabled"] == "true"
        rows = self.rows if wanted or not self.filters else []
        offset, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
        page = rows[offset : offset + limit] if self.pages else rows
        return JSONResponse({"results": page} | ({"meta": {"count": len(rows)}} if self.counts else {}))


@pytest.mark.parametrize("pages", [True, False])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("filters", [True, False])
async def test_every_subscription_is_listed_once_however_prolific_pages(
    pages: bool, counts: bool, filters: bool
) -> None:
    listing = Listing(pages=pages, counts=counts, filters=filters)
    app = Starlette(routes=[Route("/api/v1/hooks/subscriptions/", listing.__call__)])
    async with running(app) as url, Prolific(url, lambda: TOKEN) as prolific:
        listed = await prolific.hooks.subscriptions("w")
    assert [one.id for one in listed] == [row["id"] for row in listing.rows]
    assert all(one.is_enabled for one in listed)


async def test_an_id_never_leads_to_another_subscription_or_to_all_of_them(prolific: Prolific) -> None:
    for identifier in ("", "..", "."):
        with pytest.raises(NotFound):
            await prolific.hooks.delete_subscription(identifier)
