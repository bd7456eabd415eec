"""Identity of events. ``X-Event-ID`` is not signed, so it may be changed on the way."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import httpx
import sqlalchemy as sa

from service.app import Parts
from service.domain.webhook import Event
from service.intake.writer import InboxWriter, Receipt
from service.postgres.database import Database
from tests.conftest import Start
from tests.world import SECRET, World, signature, signed, status_change

WEB = Parts(web=True, worker=False)


async def post(world: World, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return await world.http.post("/webhooks/prolific", content=body, headers=headers)


async def test_signature_is_accepted_once_for_any_event_id(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        headers = signed(body)
        answers = [await post(world, body, headers | {"X-Event-ID": f"e-{one}"}) for one in range(130)]
        assert [answer.status_code for answer in answers] == [202] + [200] * 129
        assert answers[-1].json() == {"event_id": "e-129", "status": "duplicate"}
        status = await world.api("status")
        assert (status["inbox"]["events"], status["jobs"]["queued"]) == (1, 1)


async def test_concurrent_copies_of_one_signature_are_accepted_once(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        headers = signed(body)
        answers = await asyncio.gather(
            *(post(world, body, headers | {"X-Event-ID": f"e-{one}"}) for one in range(50))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]


async def test_reformatted_copy_is_a_duplicate_of_the_signed_body(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        headers = signed(body)
        assert (await post(world, body, headers | {"X-Event-ID": "e-1"})).status_code == 202
        spaced = json.dumps(json.loads(body), indent=3).encode()
        assert (await post(world, spaced, headers | {"X-Event-ID": "e-2"})).status_code == 200
        assert (await post(world, spaced, headers | {"X-Event-ID": "e-1"})).status_code == 200


async def test_another_body_with_a_known_event_id_is_another_event(start: Start) -> None:
    async with start(parts=WEB) as world:
        for submission in ("abc", "def"):
            answer = await world.tell(submission, event_id="e-1")
            assert (answer.status_code, answer.json()["event_id"]) == (202, "e-1")
        assert (await world.tell("def", event_id="e-1")).status_code == 200
        assert (await world.tell("abc", event_id="e-1")).status_code == 200
        status = await world.api("status")
        assert (status["inbox"]["events"], status["jobs"]["queued"]) == (2, 2)


async def test_retry_with_a_new_signature_is_a_duplicate(start: Start) -> None:
    async with start(parts=WEB) as world:
        body, now = status_change("abc"), int(time.time())
        for timestamp, expected in ((str(now), 202), (str(now + 60), 200)):
            headers = {
                "X-Prolific-Request-Timestamp": timestamp,
                "X-Prolific-Request-Signature": signature(SECRET, timestamp, body),
                "X-Event-ID": "e-1",
            }
            assert (await post(world, body, headers)).status_code == expected


async def test_same_body_signed_later_with_a_new_id_is_a_new_event(start: Start) -> None:
    """A submission may await review again, after it was returned or reopened."""
    async with start(parts=WEB) as world:
        body, now = status_change("abc"), int(time.time())
        for one in range(2):
            timestamp = str(now + one)
            headers = {
                "X-Prolific-Request-Timestamp": timestamp,
                "X-Prolific-Request-Signature": signature(SECRET, timestamp, body),
                "X-Event-ID": f"e-{one}",
            }
            assert (await post(world, body, headers)).status_code == 202


async def stored(database: Database, events: Sequence[Event]) -> list[Receipt]:
    """Store events in one batch; return their receipts."""
    writer = InboxWriter(database)
    waiting = [asyncio.create_task(writer.store(event)) for event in events]
    await asyncio.sleep(0)
    running = asyncio.create_task(writer.run())
    try:
        return await asyncio.gather(*waiting)
    finally:
        running.cancel()


async def test_batch_accepts_one_event_id_with_several_bodies(database_url: str) -> None:
    database = Database(database_url)
    accepted, duplicate = Receipt.ACCEPTED, Receipt.DUPLICATE
    bodies = (b"one", b"two", b"one", b"three", b"two")
    events = [Event("e-1", body) for body in bodies]
    assert await stored(database, events) == [accepted, accepted, duplicate, accepted, duplicate]
    assert await stored(database, events[::-1]) == [duplicate] * 5
    await database.close()


async def test_batch_of_new_events_takes_one_insert_and_copies_one_more_query(database_url: str) -> None:
    database = Database(database_url)
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "inbox" in statement:
            statements.append(statement.split(maxsplit=1)[0])

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    events = [Event(f"e-{one}", b"body", str(one).encode()) for one in range(200)]
    assert await stored(database, events) == [Receipt.ACCEPTED] * 200
    assert statements == ["INSERT"]
    assert await stored(database, events) == [Receipt.DUPLICATE] * 200
    assert statements == ["INSERT", "INSERT", "SELECT"]
    await database.close()
