"""Messages, whose real field names differ from the documented ones."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service.prolific import Prolific
from service.prolific.errors import Unreadable
from service.prolific.messages import read_message, read_messages
from service.sandbox.app import create_app
from service.sandbox.messages import MessageStyle
from service.sandbox.server import running, shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests.world import TOKEN

WHEN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
OBJECT_ID = f"{int(WHEN.timestamp()):08x}0123456789abcdef"
PERSON = "65f0000000000000000000bb"


@pytest.mark.parametrize(
    "row",
    [
        {"id": "m", "datetime_created": "2026-11-20T10:00:00.000Z"},
        {"id": "m", "sent_at": "2026-11-20T10:00:00Z"},
        {"id": OBJECT_ID, "sent_at": None, "datetime_created": None},
        {"id": OBJECT_ID},
        {"id": OBJECT_ID.upper(), "sent_at": None},
        {"id": "m", "datetime_created": None, "sent_at": "2026-11-20T10:00:00Z"},
        {"id": "m", "datetime_created": "2026-11-20T10:00:00Z", "sent_at": "2026-11-21T10:00:00Z"},
        {"id": "m", "datetime_created": None, "sent_at": "2026-11-20T12:00:00+02:00"},
    ],
)
def test_the_time_comes_from_whichever_field_has_it_else_from_the_id(row: dict[str, Any]) -> None:
    assert read_message(row).sent_at == WHEN


@pytest.mark.parametrize(
    "times",
    [
        {"sent_at": "yesterday"},
        {"datetime_created": 1763632800},
        {"datetime_created": ""},
        {"datetime_created": "2026-13-45T00:00:00Z"},
        {"datetime_created": "0001-01-01T00:00:00+14:00"},
        {"datetime_created": "yesterday", "sent_at": "2026-11-20T10:00:00Z"},
    ],
)
def test_a_time_that_cannot_be_read_is_not_taken_from_elsewhere(times: dict[str, Any]) -> None:
    assert read_message({"id": OBJECT_ID, **times}).sent_at is None


@pytest.mark.parametrize("identifier", ["m", "692", "zz0123456789abcdef012345", f"{OBJECT_ID}0"])
def test_a_time_that_cannot_be_known_is_none(identifier: str) -> None:
    assert read_message({"id": identifier, "sent_at": None}).sent_at is None


@pytest.mark.parametrize(
    ("row", "sender"),
    [
        ({"sender_id": "a"}, "a"),
        ({"sender": "b"}, "b"),
        ({"sender_id": None, "sender": "b"}, "b"),
        ({"sender_id": "a", "sender": "b"}, "a"),
        ({}, None),
        ({"sender": {"id": "b"}}, None),
    ],
)
def test_the_sender_comes_from_either_field(row: dict[str, Any], sender: str | None) -> None:
    assert read_message({"id": "m", **row}).sender_id == sender


@pytest.mark.parametrize(
    ("row", "study"),
    [
        ({"data": {"study_id": "s"}}, "s"),
        ({"study_id": "s"}, "s"),
        ({"data": {}}, None),
        ({"data": "s"}, None),
    ],
)
def test_study_of_an_event_is_stored_if_given(row: dict[str, Any], study: str | None) -> None:
    assert read_message({"id": "m", **row}).study_id == study


def test_what_people_wrote_is_in_no_log() -> None:
    (message,) = read_messages({"results": [{"id": "m", "body": "My mother is ill."}]})
    assert message.body == "My mother is ill."
    assert "mother" not in repr(message)


@pytest.fixture
def state() -> SandboxState:
    return shipped_state(seed=3)


@pytest.fixture
async def prolific(state: SandboxState) -> AsyncIterator[Prolific]:
    async with running(create_app(state, token=TOKEN)) as url, Prolific(url, lambda: TOKEN) as client:
        yield client


@pytest.mark.parametrize("style", MessageStyle)
async def test_a_participants_messages_are_read_in_every_style_that_was_seen(
    state: SandboxState, prolific: Prolific, style: MessageStyle
) -> None:
    state.messages.style = style
    written = datetime.now(UTC).replace(microsecond=0)
    state.messages.receive(PERSON, STROOP, "I lost my connection.", at=written)
    state.messages.receive("65f0000000000000000000cc", STROOP, "somebody else")
    state.messages.send(PERSON, STROOP, "Thank you.")
    theirs, ours = await prolific.messages(PERSON)
    assert (theirs.sender_id, theirs.study_id, theirs.body) == (PERSON, STROOP, "I lost my connection.")
    assert theirs.sent_at == written
    assert ours.sender_id == (await prolific.me())["id"]


async def test_an_answer_without_messages_is_not_taken_for_silence() -> None:
    """No messages would mean that the participant did not reply."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"messages": []}))
    async with Prolific("https://prolific.test", lambda: "t", transport=transport) as prolific:
        with pytest.raises(Unreadable):
            await prolific.messages(PERSON)
