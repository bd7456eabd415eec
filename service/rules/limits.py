"""Limits of a study's automatic decisions. Decisions beyond a limit are held."""

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from service.rules.format.quantities import Share, whole_from
from service.rules.format.values import Closed

OF_MONEY = " of minor units (50000 is 500.00)"


class _Limit(Closed):
    @classmethod
    def refusal(cls, given: object) -> str:
        return f"{super().refusal(given)}: such as `{cls.keys()[-1]}: 20`"


class RejectLimit(_Limit):
    """Rejections are at most ``share`` of the last ``of_last`` decisions, and ``per_day`` in 24 hours."""

    share: Share = Field(
        Fraction(1, 10),
        description="Maximum share of rejections among the last decisions. Three are always allowed.",
        examples=["10%"],
        json_schema_extra={"default": "10%"},
    )
    of_last: Annotated[int, whole_from(1)] = Field(50, description="Number of last decisions that count.")
    per_day: Annotated[int, whole_from(0)] = Field(
        20, description="Maximum number of rejections in 24 hours."
    )


class ReturnLimit(_Limit):
    """Requests to return are at most ``per_day`` in 24 hours."""

    per_day: Annotated[int, whole_from(0)] = Field(
        50, description="Maximum number of requests to return in 24 hours."
    )


class RewardLimit(_Limit):
    """Approvals and completions pay at most ``reward_per_day`` in 24 hours."""

    reward_per_day: Annotated[int, whole_from(0, OF_MONEY)] | None = Field(
        None,
        description="Maximum amount paid in 24 hours, in minor units. Absent: no limit.",
        examples=[50000],
    )


class Limits(Closed):
    """The limits of a study. Decisions beyond them are held for manual review."""

    reject: RejectLimit = Field(default_factory=RejectLimit)
    request_return: ReturnLimit = Field(default_factory=ReturnLimit)
    approve: RewardLimit = Field(default_factory=RewardLimit)
