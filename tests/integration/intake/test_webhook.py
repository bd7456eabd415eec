"""The webhook route, over HTTP into PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from service.app import Parts
from service.domain.webhook import Event
from service.intake.writer import InboxWriter, Receipt
from service.postgres.database import Database
from tests.conftest import Start
from tests.databases import named
from tests.world import ADMIN, bearer, signed, status_change
from tests.world import client as http_client

WEB = Parts(web=True, worker=False)


async def test_signed_event_is_stored_with_its_review_before_the_response(start: Start) -> None:
    async with start(parts=WEB) as world:
        answer = await world.tell("abc", event_id="e-1")
        assert (answer.status_code, answer.json()) == (202, {"event_id": "e-1", "status": "accepted"})
        async with world.service.database.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM inbox WHERE event_id = 'e-1'")) == 1
            jobs = (await connection.execute(text("SELECT lock, args FROM procrastinate_jobs"))).all()
        assert [(job.lock, job.args["submission_id"]) for job in jobs] == [("abc", "abc")]


async def test_repeated_event_is_a_duplicate_without_a_second_job(start: Start) -> None:
    async with start(parts=WEB) as world:
        await world.tell("abc", event_id="e-1")
        answer = await world.tell("abc", event_id="e-1")
        assert (answer.status_code, answer.json()) == (200, {"event_id": "e-1", "status": "duplicate"})
        async with world.service.database.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 1


async def test_concurrent_copies_of_an_event_are_accepted_once(start: Start) -> None:
    async with start(parts=WEB) as world:
        answers = await asyncio.gather(*(world.tell("abc", event_id="same") for _ in range(50)))
        assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]


@pytest.mark.parametrize("missing", ["X-Prolific-Request-Signature", "X-Prolific-Request-Timestamp"])
async def test_webhook_without_signature_or_timestamp_is_401(start: Start, missing: str) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        headers = {name: value for name, value in signed(body).items() if name != missing}
        answer = await world.http.post("/webhooks/prolific", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "signature")


async def test_webhook_with_a_wrong_signature_is_401_and_not_stored(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        answer = await world.http.post(
            "/webhooks/prolific", content=body, headers=signed(body, secret="another")
        )
        assert answer.status_code == 401
        assert (await world.api("status"))["inbox"]["events"] == 0


async def test_webhook_signature_accepts_any_configured_secret(start: Start) -> None:
    async with start(parts=WEB, webhook_secrets="new, old") as world:
        body = status_change("abc")
        for secret in ("new", "old"):
            answer = await world.http.post(
                "/webhooks/prolific", content=body, headers=signed(body, secret=secret, event_id=secret)
            )
            assert answer.status_code == 202


async def test_webhook_over_64_kib_is_413_even_with_a_wrong_signature(start: Start) -> None:
    async with start(parts=WEB) as world:
        answer = await world.http.post("/webhooks/prolific", content=b"x" * (64 * 1024 + 1))
        assert answer.status_code == 413

        async def chunks() -> AsyncIterator[bytes]:  # a body whose length is not declared
            for _ in range(70):
                yield b"x" * 1024

        assert (await world.http.post("/webhooks/prolific", content=chunks())).status_code == 413


async def test_webhook_of_exactly_64_kib_is_accepted(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = b"x" * (64 * 1024)
        answer = await world.http.post("/webhooks/prolific", content=body, headers=signed(body))
        assert answer.status_code == 202


UNREADABLE = [
    b"{}",
    b"nonsense",
    b"\x00",
    b"[" * 30_000,
    status_change("a\x00b"),
    status_change("abc").replace(b"REVIEW", b"\xed\xa0\x80"),
    status_change("abc").replace(b"status.change", b"\xed\xa0\x80"),
    status_change("abc", "A\x00B").decode().encode("utf-16-le"),
    status_change("abc", "A\ud800B").decode().encode("utf-16"),
]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:40]))
async def test_signed_but_unreadable_event_is_stored_counted_and_accepted(start: Start, body: bytes) -> None:
    async with start(parts=WEB) as world:
        answer = await world.http.post("/webhooks/prolific", content=body, headers=signed(body))
        assert answer.status_code == 202
        inbox = (await world.api("status"))["inbox"]
        assert (inbox["events"], inbox["unreadable"]) == (1, 1)


async def test_event_of_another_type_is_accepted_without_a_job(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = b'{"event_type": "study.progress.change", "resource_id": "s"}'
        answer = await world.http.post("/webhooks/prolific", content=body, headers=signed(body))
        assert answer.status_code == 202
        status = await world.api("status")
        assert (status["inbox"]["events"], status["inbox"]["unreadable"]) == (1, 0)
        assert status["jobs"]["queued"] == 0


async def test_webhook_with_an_old_timestamp_is_accepted(start: Start) -> None:
    """Prolific retries for a day, possibly with the first signature."""
    from tests.world import SECRET, signature

    async with start(parts=WEB) as world:
        body = status_change("abc")
        headers = {
            "X-Prolific-Request-Timestamp": "1000000000",
            "X-Prolific-Request-Signature": signature(SECRET, "1000000000", body),
        }
        answer = await world.http.post("/webhooks/prolific", content=body, headers=headers)
        assert answer.status_code == 202
        again = await world.http.post("/webhooks/prolific", content=body, headers=headers)
        assert again.status_code == 200, "the same timestamp and body have the same id"


async def test_webhook_get_is_405_and_an_unknown_route_404(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.http.get("/webhooks/prolific")).status_code == 405
        answer = await world.http.get("/nowhere")
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_unavailable_database_is_answered_with_503_and_a_retry_is_accepted(
    postgres: str, database_url: str, start: Start
) -> None:
    database = database_url.rpartition("/")[2]
    moved = f"moved_{uuid4().hex}"
    async with start(parts=WEB) as world:
        with psycopg.connect(named(postgres, "postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
            )
            connection.execute(f'ALTER DATABASE "{database}" RENAME TO "{moved}"')
            try:
                answer = await world.tell("abc", event_id="e-1")
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
            finally:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [moved]
                )
                connection.execute(f'ALTER DATABASE "{moved}" RENAME TO "{database}"')
        assert (await world.tell("abc", event_id="e-1")).status_code == 202


async def test_full_intake_queue_returns_not_stored_at_once(database_url: str) -> None:
    writer = InboxWriter(Database(database_url), max_waiting=2)
    waiting = [asyncio.create_task(writer.store(Event(str(number), b""))) for number in range(2)]
    await asyncio.sleep(0)
    assert await writer.store(Event("one too many", b"")) is Receipt.NOT_STORED
    for task in waiting:
        task.cancel()


async def test_event_that_the_database_refuses_does_not_fail_the_others_of_its_batch(
    database_url: str,
) -> None:
    database = Database(database_url)
    writer = InboxWriter(database)
    poisoned = Event("poisoned", b"", event_type="a\x00b", readable=True)
    stored = [writer.store(event) for event in (Event("one", b""), poisoned, Event("two", b""))]
    running = asyncio.create_task(writer.run())
    assert await asyncio.gather(*stored) == [Receipt.ACCEPTED, Receipt.NOT_STORED, Receipt.ACCEPTED]
    running.cancel()
    await database.close()


async def test_thousands_of_concurrent_events_are_each_stored_once(start: Start) -> None:
    async with start(parts=WEB) as world:

        async def client(name: int) -> list[int]:
            async with http_client(world.url) as http:
                codes = []
                for number in range(50):
                    body = status_change(f"s{name}-{number % 40}")
                    headers = signed(body, event_id=f"{name}-{number % 40}")
                    codes.append(
                        (await http.post("/webhooks/prolific", content=body, headers=headers)).status_code
                    )
                return codes

        codes = [code for found in await asyncio.gather(*(client(n) for n in range(20))) for code in found]
        assert sorted(codes) == [200] * 200 + [202] * 800
        answer = await world.http.get("/api/status", headers=bearer(ADMIN))
        assert answer.json()["inbox"]["events"] == 800
        assert answer.json()["jobs"]["queued"] == 800
