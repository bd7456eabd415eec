"""Prolific's webhooks: a workspace's secret, its subscriptions, and the events sent to them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.prolific.answers import json_of, unreadable
from service.prolific.fields import Body, mapping, read_moment, required, results, text, whole
from service.prolific.paths import part
from service.prolific.transport import Call, Transport

STATUS_CHANGE = "submission.status.change"
PAGE_SIZE = 100
SECRETS_PATH = "/hooks/secrets/"
SUBSCRIPTIONS_PATH = "/hooks/subscriptions/"


@dataclass(frozen=True, slots=True)
class HookSecret:
    """A workspace's signing secret. The value is empty if Prolific does not show it."""

    id: str
    workspace_id: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    id: str
    event_type: str
    target_url: str
    is_enabled: bool
    workspace_id: str


@dataclass(frozen=True, slots=True)
class HookEvent:
    """An event for a subscription. ``status`` is PENDING, SUCCEEDED or FAILED."""

    id: str
    event_type: str
    resource_id: str | None
    status: str
    target_url: str | None
    created_at: datetime | None
    updated_at: datetime | None


class Hooks:
    """The part of Prolific's API for webhooks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def secrets(self, workspace_id: str) -> tuple[HookSecret, ...]:
        """Return the workspace's secrets with their values, usually one or none."""

        def read(body: Any) -> tuple[HookSecret, ...]:
            return tuple(_secret(row, workspace_id) for row in results(body))

        return await self._transport.ask(Call("GET", SECRETS_PATH, {"workspace_id": workspace_id}), read)

    async def new_secret(self, workspace_id: str) -> HookSecret:
        """Create the workspace's secret. An existing one becomes invalid at once, for everybody who uses it."""

        def read(body: Any) -> HookSecret:
            return _secret(body, workspace_id)

        return await self._transport.ask(
            Call("POST", SECRETS_PATH, json={"workspace_id": workspace_id}), read
        )

    async def subscriptions(
        self, workspace_id: str | None = None, *, enabled: bool | None = None
    ) -> tuple[Subscription, ...]:
        """Return the workspace's subscriptions, or those of all workspaces, disabled ones included."""
        # Prolific shows disabled ones only if they are asked for, so both are requested.
        found: dict[str, Subscription] = {}
        for wanted in (True, False) if enabled is None else (enabled,):
            params = {"is_enabled": "true" if wanted else "false"}
            params |= {"workspace_id": workspace_id} if workspace_id else {}
            async for row in self._rows(SUBSCRIPTIONS_PATH, params):
                one = _subscription(row, workspace_id=workspace_id, is_enabled=wanted)
                found.setdefault(one.id, one)
        return tuple(found.values())

    async def subscribe(
        self, workspace_id: str, event_type: str, target_url: str
    ) -> tuple[Subscription, str | None]:
        """Create a subscription. It is inactive until the returned X-Hook-Secret is posted with ``confirm``."""
        body = {"workspace_id": workspace_id, "event_type": event_type, "target_url": target_url}
        response = await self._transport.answer(Call("POST", SUBSCRIPTIONS_PATH, json=body))
        try:
            # The value to confirm with is in a header, so the body alone does not do.
            made = _one(json_of(response), body)
        except ValueError as error:
            raise unreadable(response, str(error)) from error
        return made, response.headers.get("X-Hook-Secret")

    async def confirm(self, subscription_id: str, value: str) -> None:
        """Confirm a new subscription. From then on events are sent."""
        await self._transport.answer(Call("POST", _path(subscription_id), json={"secret": value}))

    async def update_subscription(
        self, subscription_id: str, *, is_enabled: bool | None = None, target_url: str | None = None
    ) -> Subscription:
        """Change the given fields. Return the subscription as Prolific has it now."""
        changes = {"is_enabled": is_enabled, "target_url": target_url}
        given = {name: value for name, value in changes.items() if value is not None}

        def read(body: Any) -> Subscription:
            return _one(body, {"id": subscription_id, **given})

        return await self._transport.ask(Call("PATCH", _path(subscription_id), json=given), read)

    async def delete_subscription(self, subscription_id: str) -> None:
        await self._transport.answer(Call("DELETE", _path(subscription_id)))

    async def events(self, subscription_id: str, *, status: str | None = None) -> AsyncIterator[HookEvent]:
        """Yield the subscription's events, each once. ``status`` is one, or a JSON array of them."""
        params = {"status": status} if status else {}
        async for row in self._rows(f"{_path(subscription_id)}events/", params):
            yield _event(row)

    async def _rows(self, path: str, params: dict[str, str]) -> AsyncIterator[Body]:
        """Yield all rows of a list, each once, even if Prolific ignores the paging."""
        seen = set[str]()
        while True:
            window = {"limit": str(PAGE_SIZE), "offset": str(len(seen))}
            call = Call("GET", path, params | window)
            rows, count = await self._transport.ask(call, _page)
            new = [row for row in rows if row["id"] not in seen]
            for row in new:
                yield row
            seen |= {row["id"] for row in new}
            # The count may be missing, or Prolific may ignore limit and offset.
            if not new or (len(rows) < PAGE_SIZE and len(seen) >= count):
                return


def _path(subscription_id: str) -> str:
    return f"{SUBSCRIPTIONS_PATH}{part(subscription_id)}/"


def _page(body: Any) -> tuple[list[Body], int]:
    """Return the rows, each with an id, and the number of all rows, 0 if unknown."""
    rows = [mapping(row) for row in results(body)]
    for row in rows:
        required(row, "id")
    meta = body.get("meta")
    return rows, (whole(meta.get("count")) or 0) if isinstance(meta, dict) else 0


def _secret(row: Any, workspace_id: str) -> HookSecret:
    row = mapping(row)
    return HookSecret(
        id=text(row.get("id")) or "",
        workspace_id=text(row.get("workspace_id")) or workspace_id,
        value=text(row.get("value")) or "",
    )


def _one(body: Any, asked: Body) -> Subscription:
    """Read a subscription, single or in a list: Prolific's specification and its own client differ."""
    body = mapping(body)
    # What an answer leaves out is as it was requested.
    rows = [{**asked, **mapping(row)} for row in results(body)] if "results" in body else [{**asked, **body}]
    # A list may hold other subscriptions of the workspace, too.
    meant = [row for row in rows if all(row[name] == value for name, value in asked.items())] or rows
    if not meant:
        raise ValueError("it has no subscription")
    return _subscription(meant[-1])


def _subscription(row: Any, *, workspace_id: str | None = None, is_enabled: bool = False) -> Subscription:
    row = mapping(row)
    enabled = row.get("is_enabled")
    return Subscription(
        id=required(row, "id"),
        event_type=text(row.get("event_type")) or "",
        target_url=text(row.get("target_url")) or "",
        is_enabled=enabled if isinstance(enabled, bool) else is_enabled,
        workspace_id=text(row.get("workspace_id")) or workspace_id or "",
    )


def _event(row: Body) -> HookEvent:
    return HookEvent(
        id=required(row, "id"),
        event_type=text(row.get("event_type")) or "",
        resource_id=text(row.get("resource_id")),
        status=(text(row.get("status")) or "").upper(),
        target_url=text(row.get("target_url")),
        created_at=read_moment(row.get("datetime_created")),
        updated_at=read_moment(row.get("datetime_updated")),
    )
