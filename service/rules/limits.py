"""How much a study's rules may do by themselves; what goes beyond is held."""

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """Rejections are at most ``share`` of the last ``of_last`` decisions, and ``per_day`` in 24 hours."""

    share: Fraction = Fraction(1, 10)
    of_last: int = 50
    per_day: int = 20


@dataclass(frozen=True, slots=True)
class ReturnLimit:
    """Requests to return are at most ``per_day`` in 24 hours."""

    per_day: int = 50


@dataclass(frozen=True, slots=True)
class RewardLimit:
    """Approvals and completions pay at most ``reward_per_day`` in 24 hours, in minor units; None: no bound."""

    reward_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    reject: RejectLimit = field(default_factory=RejectLimit)
    request_return: ReturnLimit = field(default_factory=ReturnLimit)
    approve: RewardLimit = field(default_factory=RewardLimit)
