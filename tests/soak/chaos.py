"""Kills at random moments, and bad weather between Prolific, the survey and the service."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from service.sandbox.faults import Fault, WebhookFaults
from service.sandbox.model import By, SimSubmission
from service.sandbox.state import SandboxState
from tests.soak.balancer import Balancer
from tests.soak.plan import Plan
from tests.soak.replicas import Part, Victim

WEIGHTS = {Part.WEB: 3, Part.WORKER: 4, Part.DATABASE: 3, Part.FAILOVER: 4, Part.POOLER: 3}
BEGIN = 2.0  # seconds of peace at first
LOST_ANSWERS = 0.05  # of 2xx answers to webhooks
LOOK = 0.05  # seconds
WEBHOOKS = WebhookFaults(lose=0.08, duplicate=0.08, reorder=1.0)
OUTAGE = (1.0, 4.0)  # seconds that Prolific is away
CALM = 25.0  # seconds between two outages, on average

AIMED = 0.5  # of the kills: the moment Prolific has done something, before it can be on record here
AIMING = 5.0  # seconds to wait for such a moment

# Of each kind of call; one call meets one fault at most. The slow ones are there for the kills: a worker has to
# be hit between what its request did and the answer now and then.
CALLS = (
    Fault("transition", 500, count=None, share=0.06, took_effect=True),
    Fault("transition", 503, count=None, share=0.06),
    Fault("transition", count=None, share=0.04, took_effect=True, reset=True),
    Fault("transition", count=None, share=0.04, truncate=True),
    Fault("transition", 429, count=None, share=0.02, retry_after=1),
    Fault("transition", count=None, share=0.3, latency=0.5, took_effect=True),
    Fault("request-return", 500, count=None, share=0.1, took_effect=True),
    Fault("request-return", count=None, share=0.1, took_effect=True, reset=True),
    Fault("request-return", 502, count=None, share=0.1),
    Fault("request-return", count=None, share=0.3, latency=0.5, took_effect=True),
    Fault("submission", 500, count=None, share=0.02),
    Fault("submission", count=None, share=0.02, truncate=True),
    Fault("submissions", 500, count=None, share=0.05),
    Fault("study", 500, count=None, share=0.05),
)


class Chaos:
    """Kills as often as asked for, each time something that is alive of the kind that was drawn."""

    def __init__(
        self, plan: Plan, state: SandboxState, targets: Sequence[Victim], balancer: Balancer
    ) -> None:
        self._plan = plan
        self._state = state
        self._random = plan.random("chaos")
        self._targets = targets
        self._balancer = balancer
        self._acted = asyncio.Event()
        self.killed = Counter[str]()

    async def rage(self) -> None:
        """Kill for as long as people take part; at the end all is well again."""
        self._spoil()
        self._state.listeners.append(self._notice)
        weather = asyncio.create_task(self._outages(self._plan.random("weather")))
        try:
            await self._kill_all()
        finally:
            weather.cancel()
            self._state.listeners.remove(self._notice)
            self._lift()

    def _spoil(self) -> None:
        self._balancer.lost_answers = LOST_ANSWERS
        self._state.webhooks = WEBHOOKS
        self._state.faults.add(*CALLS)

    def _lift(self) -> None:
        self._balancer.lost_answers = 0.0
        self._state.webhooks = WebhookFaults()
        self._state.faults.clear()

    async def _outages(self, random: Random) -> None:
        while True:
            await asyncio.sleep(random.expovariate(1 / CALM))
            self._state.faults.down(random.uniform(*OUTAGE), random.choice(("refuse", 503)))

    async def _kill_all(self) -> None:
        began, end = time.monotonic(), self._plan.seconds
        moments = sorted(self._random.uniform(BEGIN, end) for _ in range(self._plan.kills))
        for moment, part in zip(moments, self._drawn(), strict=True):
            await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
            await self._kill(part)
        await asyncio.sleep(max(0.0, began + end - time.monotonic()))

    def _drawn(self) -> list[Part]:
        return victims(self._plan.kills, [one.part for one in self._targets], self._random)

    def _notice(self, submission: SimSubmission) -> None:
        if submission.history[-1].by is By.API:
            self._acted.set()

    async def _aim(self) -> None:
        self._acted.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._acted.wait(), AIMING)

    async def _kill(self, part: Part) -> None:
        if part is not Part.WEB and self._random.random() < AIMED:
            await self._aim()
        while not (alive := [one for one in self._targets if one.part is part and one.alive]):
            await asyncio.sleep(LOOK)
        self._random.choice(alive).kill()
        self.killed[part.value] += 1


def victims(kills: int, among: Sequence[Part], random: Random) -> list[Part]:
    """One of each kind at least, where there are so many; the rest by weight."""
    parts = [part for part in Part if part in among]
    drawn = random.choices(parts, [WEIGHTS[part] for part in parts], k=kills)
    found = [*parts, *drawn][:kills]
    random.shuffle(found)
    return found
