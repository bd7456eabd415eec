"""Messages between researcher and participants, as Prolific's API documents them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.sandbox.messages import MessageStyle
from service.sandbox.state import USER, SandboxState
from service.sandbox.studies import STROOP

PATH = "/api/v1/messages/"
ANNA, BERTA = "65f0000000000000000000a1", "65f0000000000000000000b2"


async def listed(http: httpx.AsyncClient, path: str = PATH, **query: str) -> list[dict[str, Any]]:
    response = await http.get(path, params=query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["results"]
    return found


async def test_message_of_a_participant_is_listed_by_user_and_as_unread(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    written = state.write_message(ANNA, STROOP, "The page crashed.", category="technical-issues")
    state.write_message(BERTA, None, "Hello.")
    (row,) = await listed(http, user_id=ANNA)
    assert row == {
        "id": written.id,
        "sender_id": ANNA,
        "body": "The page crashed.",
        "type": "message",
        "channel_id": written.channel_id,
        "data": {"study_id": STROOP, "category": "technical-issues"},
        "sent_at": row["sent_at"],
    }
    assert datetime.fromisoformat(row["sent_at"]) == written.created
    assert int(row["id"][:8], 16) == int(written.created.timestamp())
    unread = await listed(http, f"{PATH}unread/")
    assert [one["sender_id"] for one in unread] == [ANNA, BERTA]
    assert all("sender" not in one for one in unread)


async def test_message_of_the_researcher_is_listed_but_not_as_unread(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.write_message(ANNA, STROOP, "Why was I asked?")
    sent = await http.post(PATH, json={"recipient_id": ANNA, "body": "Because.", "study_id": STROOP})
    assert (sent.status_code, sent.content) == (204, b"")
    talk = await listed(http, user_id=ANNA)
    assert [(one["sender_id"], one["body"]) for one in talk] == [
        (ANNA, "Why was I asked?"),
        (USER["id"], "Because."),
    ]
    assert len({one["channel_id"] for one in talk}) == 1
    assert len(await listed(http, f"{PATH}unread/")) == 1
    assert await listed(http, user_id=ANNA, excluded_sender_ids=f"{USER['id']},{BERTA}") == talk[:1]


async def test_message_list_begins_at_a_time_within_30_days(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    now = datetime.now(UTC)
    for days in (31, 20, 1):
        state.write_message(ANNA, STROOP, f"{days}", at=now - timedelta(days=days))
    since = {days: (now - timedelta(days=days)).isoformat() for days in (10, 29)}
    assert [one["body"] for one in await listed(http, created_after=since[29])] == ["20", "1"]
    assert [one["body"] for one in await listed(http, user_id=ANNA, created_after=since[10])] == ["1"]
    assert [one["body"] for one in await listed(http, user_id=ANNA)] == ["20", "1"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"excluded_sender_ids": ANNA},
        {"created_after": "yesterday"},
        {"created_after": "2020-01-01T00:00:00Z"},
        {"user_id": ANNA, "excluded_sender_ids": ",".join("abcdefghijk")},
    ],
)
async def test_message_list_requires_a_user_or_a_time_within_30_days(
    query: dict[str, str], http: httpx.AsyncClient
) -> None:
    assert (await http.get(PATH, params=query)).status_code == 400


@pytest.mark.parametrize("missing", ["recipient_id", "body", "study_id"])
async def test_message_requires_all_its_fields(
    missing: str, http: httpx.AsyncClient, state: SandboxState
) -> None:
    body = {"recipient_id": ANNA, "body": "Hello.", "study_id": STROOP}
    response = await http.post(PATH, json={key: body[key] for key in body if key != missing})
    assert response.status_code == 400
    assert missing in response.json()["detail"]
    assert (await http.post(PATH, json=body | {"study_id": "none-such"})).status_code == 400
    assert state.messages.all == []


@pytest.mark.parametrize(
    ("style", "times", "sender"),
    [
        (MessageStyle.LIVE, {"datetime_created"}, {"sender"}),
        (MessageStyle.SPEC, {"sent_at"}, {"sender_id"}),
        (MessageStyle.TIMELESS, {"datetime_created", "sent_at"}, {"sender", "sender_id"}),
    ],
)
async def test_message_times_and_senders_have_documented_or_observed_names(
    style: MessageStyle, times: set[str], sender: set[str], http: httpx.AsyncClient, state: SandboxState
) -> None:
    state.messages.style = style
    state.write_message(ANNA, STROOP, "Hello.")
    (row,) = await listed(http, f"{PATH}unread/")
    assert {name for name in row if name in ("datetime_created", "sent_at")} == times
    assert {name for name in row if name.startswith("sender")} == sender
    assert all((row[name] is None) is (style is MessageStyle.TIMELESS) for name in times)


async def test_control_route_sends_a_message_of_a_participant(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    given = {
        "participant_id": ANNA,
        "study_id": STROOP,
        "body": "Hello.",
        "created_at": "2026-01-01T10:00:00Z",
    }
    assert (await http.post("/sandbox/messages/", json=given)).status_code == 201
    (message,) = state.messages.all
    assert (message.sender_id, message.created) == (ANNA, datetime(2026, 1, 1, 10, tzinfo=UTC))
    for wrong in ({"study_id": "none-such"}, {"category": "gossip"}, {"body": ""}, {"created_at": "now"}):
        assert (await http.post("/sandbox/messages/", json=given | wrong)).status_code in (400, 404)
    assert len(state.messages.all) == 1
