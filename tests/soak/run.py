"""The soak from its start to its verdict."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import stamina

from service.sandbox.delivery import TRIES
from service.sandbox.lifecycle import PushEvidence, simulate
from service.sandbox.participants import Evidence
from tests.soak.cast import crowd
from tests.soak.chaos import Chaos
from tests.soak.judge import Case, Finding, is_settled, judge
from tests.soak.plan import Plan
from tests.soak.sources import Stored, read_api, read_database
from tests.soak.way import HAPPENS
from tests.soak.world import World, world
from tests.world import ADMIN, EVIDENCE

TELL_EVERY = 10.0  # seconds
LOOK = 1.0  # seconds

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """``events``: so many were answered 2xx; ``ended_by_itself``: exit codes of processes that were not killed."""

    events: int
    cases: dict[str, Case]
    findings: list[Finding]
    killed: Counter[str]
    refused: Counter[str]
    ended_by_itself: dict[str, list[int]]
    seconds: float


async def soak(plan: Plan, folder: Path, say: Say) -> Result:
    """Run all participants while processes are killed, wait until all is settled, and judge."""
    began = time.monotonic()
    say(f"{plan.through}: {HAPPENS[plan.through]}.")
    say(
        f"{plan.participants} participants and {plan.kills} kills in {plan.seconds:.0f} s, seed {plan.seed}; "
        f"logs in {folder}"
    )
    async with world(plan, folder) as around:
        chaos = Chaos(plan, around.state, around.targets, around.balancer)
        teller = asyncio.create_task(_tell(plan, around, chaos, say))
        try:
            await _live_through(plan, around, chaos)
            say("No more kills, no more faults: waiting until all is settled.")
            await _settle(plan, around, say)
        finally:
            teller.cancel()
        cases = await _cases(around)
        ended = {one.name: one.ended_by_itself for one in around.replicas if one.ended_by_itself}
    return Result(
        events=len(around.balancer.acknowledged),
        cases=cases,
        findings=[finding for case in cases.values() for finding in judge(case)],
        killed=chaos.killed,
        refused=around.balancer.refused,
        ended_by_itself=ended,
        seconds=time.monotonic() - began,
    )


async def _live_through(plan: Plan, around: World, chaos: Chaos) -> None:
    async with around.client(EVIDENCE) as http, asyncio.TaskGroup() as group:
        people = simulate(around.state, crowd(plan), push=_pusher(http), arrival_every=plan.arrival_every)
        group.create_task(people)
        group.create_task(chaos.rage())


def _pusher(http: httpx.AsyncClient) -> PushEvidence:
    """A survey's backend that comes again until it is heard; of silent participants it knows nothing."""

    @stamina.retry(on=_is_passing, attempts=None, timeout=None, wait_initial=0.2, wait_max=2.0)
    async def push(source: str, submission_id: str, evidence: Evidence) -> None:
        if evidence:
            answer = await http.put(f"/evidence/{source}/{submission_id}", json=evidence)
            answer.raise_for_status()

    return push


def _is_passing(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)


async def _tell(plan: Plan, around: World, chaos: Chaos, say: Say) -> None:
    """A line of progress every few seconds."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(TELL_EVERY)
        stored = await _look(around)
        settled = "?" if stored is None else str(_settled(around, stored))
        say(
            f"{time.monotonic() - began:5.0f} s  kills {_counts(chaos.killed)}  "
            f"events {len(around.balancer.acknowledged)}  settled {settled}/{plan.participants}  "
            f"up {sum(one.alive for one in around.targets)}/{len(around.targets)}  "
            f"errors {_counts(around.balancer.refused)}"
        )


def _counts(counted: Mapping[str, int]) -> str:
    parts = ", ".join(f"{name} {number}" for name, number in sorted(counted.items()))
    return f"{sum(counted.values())} ({parts})" if parts else "0"


async def _look(around: World) -> dict[str, Stored] | None:
    try:
        return await read_database(around.database.url)
    except psycopg.Error:  # killed a moment ago
        return None


def _settled(around: World, stored: Mapping[str, Stored]) -> int:
    return sum(is_settled(one, stored.get(one.id, Stored())) for one in around.state.submissions.values())


async def _settle(plan: Plan, around: World, say: Say) -> None:
    """Wait until everything is settled and nothing is under way, or nothing more was settled for too long."""
    most, deadline = 0, time.monotonic() + plan.patience
    while time.monotonic() < deadline:
        stored = await _look(around)
        if stored is not None and _is_at_rest(around, stored):
            return
        if stored is not None and (settled := _settled(around, stored)) > most:
            # A busy machine is slow: only a standstill counts.
            most, deadline = settled, time.monotonic() + plan.patience
        await asyncio.sleep(LOOK)
    say(
        f"Not all was settled, and for {plan.patience:.0f} s no more of it; {_being_delivered(around)} events on their way."
    )


def _is_at_rest(around: World, stored: Mapping[str, Stored]) -> bool:
    if _being_delivered(around) or any(one.under_way for one in stored.values()):
        return False
    return _settled(around, stored) == len(around.state.submissions)


def _being_delivered(around: World) -> int:
    """Events that were sent, not taken, and will come again; a lost one was never sent."""
    heard = around.balancer.acknowledged
    return sum(
        1 for event in around.state.hooks.events.values() if 0 < event.tries < TRIES and event.id not in heard
    )


async def _cases(around: World) -> dict[str, Case]:
    """Each submission as the three sources know it."""
    state = around.state
    acknowledged = defaultdict[str, list[str]](list)
    for event in around.balancer.acknowledged:
        acknowledged[state.hooks.events[event].resource_id].append(event)
    async with around.client(ADMIN) as http:
        told = await read_api(http, state.submissions)
    stored = await read_database(around.database.url)
    return {
        one.id: Case(
            one, state.calls_for(one.id), acknowledged[one.id], stored.get(one.id, Stored()), told[one.id]
        )
        for one in state.submissions.values()
    }
