"""How long the soak is, and every time in it that hangs on that."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Through(StrEnum):
    """The way from the service to its database."""

    DIRECT = "direct"
    FAILOVER = "failover"
    POOLER = "pooler"


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for. Times below are in real seconds."""

    minutes: float
    kills: int
    seed: int
    participants: int
    through: Through = Through.DIRECT

    @property
    def seconds(self) -> float:
        """How long people take part and things are killed."""
        return self.minutes * 60

    @property
    def time_scale(self) -> float:
        """How much faster the sandbox's people live and its retries come: four hours in the whole soak."""
        return _within(240 / self.minutes, 60, 400)

    @property
    def arrival_every(self) -> float:
        """Simulated seconds between two participants, on average; the last come a little before the end."""
        return 0.85 * self.seconds * self.time_scale / self.participants

    @property
    def recheck_after(self) -> int:
        return round(_within(self.seconds / 4, 25, 60))

    @property
    def evidence_wait(self) -> int:
        return round(_within(self.seconds / 12, 8, 20))

    @property
    def sweep_every(self) -> int:
        return round(_within(self.seconds / 16, 5, 15))

    @property
    def patience(self) -> float:
        """How long to wait at the end until all is settled."""
        return 120 + 2 * self.recheck_after

    def split(self, ways: Sequence[Through]) -> "list[Plan]":
        """Return a plan for each way, with an equal share of everything."""
        number = len(ways)
        return [
            Plan(self.minutes / number, -(-self.kills // number), self.seed, self.participants // number, way)
            for way in ways
        ]

    def random(self, purpose: str) -> Random:
        """Chances of one purpose: what one part draws doesn't change what another gets."""
        return Random(f"{self.seed} {purpose}")


def _within(value: float, least: float, most: float) -> float:
    return max(least, min(value, most))
