"""The soak in small, and that its judge sees what it is there to see."""

import asyncio
import socket
import struct
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from service.domain.submission import Status
from service.sandbox.model import Call, SimSubmission
from tests.integration.postgres.silent import address_of
from tests.soak.chaos import victims
from tests.soak.judge import Case, Fault, judge
from tests.soak.plan import Plan, Through
from tests.soak.replicas import Part
from tests.soak.sources import Stored
from tests.soak.way import FailingOver
from tests.world import PATIENCE, until

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
APPROVE = {"action": "APPROVE"}


def call(body: Any = APPROVE, *, took_effect: bool = True) -> Call:
    return Call(NOW, "POST", "/api/v1/submissions/s/transition/", body, ("s",), 200, {}, ("s",) * took_effect)


def decision(status: str = "applied", outcome: str = "approve", guard: str | None = None) -> dict[str, Any]:
    return {"id": 1, "outcome": outcome, "status": status, "guard": guard}


def case(
    *calls: Call,
    status: Status = Status.APPROVED,
    decisions: tuple[dict[str, Any], ...] = (decision(),),
    deserves: str = "approve",
    in_inbox: bool = True,
    told: tuple[dict[str, Any], ...] | None = None,
) -> Case:
    submission = SimSubmission("s", "study", "participant", NOW, status, kind="careful", deserves=deserves)
    events = [{"event_id": "e", "handled_at": NOW}] if in_inbox else []
    stored = Stored(list(decisions), events=events)
    api = {"decisions": list(decisions if told is None else told), "events": events}
    return Case(submission, list(calls), ["e"], stored, api)


HELD = (decision("held", "hold", "undecidable"),)
WAITING = (decision("held", "hold", "waiting"),)
REJECT = {"action": "REJECT"}


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(case(call()), id="approved once"),
        pytest.param(
            case(call(), call(took_effect=False)), id="the same request again, which changed nothing"
        ),
        pytest.param(case(status=Status.AWAITING_REVIEW, deserves="hold", decisions=HELD), id="held"),
    ],
)
def test_the_judge_has_nothing_against_what_is_right(fine: Case) -> None:
    assert judge(fine) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        pytest.param(case(status=Status.AWAITING_REVIEW, decisions=()), Fault.LOST, id="nothing came about"),
        pytest.param(case(call(), in_inbox=False), Fault.LOST, id="an acknowledged event is gone"),
        pytest.param(
            case(status=Status.AWAITING_REVIEW, deserves="hold", decisions=WAITING),
            Fault.LOST,
            id="still waiting",
        ),
        pytest.param(case(call(), call()), Fault.DOUBLED, id="two transitions took effect"),
        pytest.param(
            case(call(), call(REJECT, took_effect=False)), Fault.DOUBLED, id="two different requests"
        ),
        pytest.param(case(call(REJECT), status=Status.REJECTED), Fault.WRONG, id="rejected instead"),
        pytest.param(case(call(), deserves="hold", decisions=HELD), Fault.WRONG, id="held and yet approved"),
        pytest.param(case(call(), decisions=(decision("pending"),)), Fault.WRONG, id="still pending"),
        pytest.param(
            case(call(), decisions=(decision("superseded"),)), Fault.WRONG, id="recorded as not done"
        ),
        pytest.param(case(call(), told=()), Fault.WRONG, id="the API tells otherwise"),
    ],
)
def test_the_judge_sees(bad: Case, fault: Fault) -> None:
    assert fault in {finding.fault for finding in judge(bad)}


def test_all_ways_share_the_time_the_kills_and_the_participants() -> None:
    plans = Plan(minutes=6, kills=20, seed=1, participants=300).split(list(Through))
    assert [(plan.through, plan.minutes, plan.kills, plan.participants) for plan in plans] == [
        ("direct", 2, 7, 100),
        ("failover", 2, 7, 100),
        ("pooler", 2, 7, 100),
    ]


@pytest.mark.parametrize("way", [Part.FAILOVER, Part.POOLER])
def test_what_stands_between_is_a_victim_too(way: Part) -> None:
    parts = [Part.WEB, Part.WEB, Part.WORKER, Part.DATABASE]
    assert set(victims(4, [*parts, way], Random(1))) == {*parts, way}
    assert way not in victims(100, parts, Random(1))


async def test_failover_silences_what_is_open_and_ends_its_sessions(database_url: str) -> None:
    async with address_of(database_url) as (address, url):
        failing = FailingOver(address, Random(1))
        async with await psycopg.AsyncConnection.connect(url) as old:
            await old.execute("CREATE TABLE locked (id int)")
            await old.commit()
            await old.execute("LOCK TABLE locked")
            failing.kill()
            assert not failing.alive
            unheard = asyncio.create_task(old.execute("SELECT 1"))

            async def over() -> bool:
                return failing.alive

            await until(over, "the new server to answer")
            async with await psycopg.AsyncConnection.connect(url) as new:
                await new.execute("SET lock_timeout = '20s'")
                await new.execute("SELECT * FROM locked")
            assert not unheard.done()
            unheard.cancel()
            await asyncio.gather(unheard, return_exceptions=True)
            old.pgconn.finish()


async def test_address_ends_the_session_of_a_client_that_resets_its_connection() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        began.set()
        await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with address_of(f"postgresql://127.0.0.1:{port}/any") as (_, url):
        client = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))
        client.sendall(b"1")
        await asyncio.wait_for(began.wait(), PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await asyncio.wait_for(ended.wait(), PATIENCE)
    server.close()
