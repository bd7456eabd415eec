"""Limits. A decision beyond a limit is held, and opens a circuit breaker that a named person closes.

Pure. The counts are exact only under the study's lock, which excludes other decisions that count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import floor

from service.domain.decision import Guard, Outcome
from service.rules import Limits
from service.store.pauses import Scope
from service.store.workers import WorkerSettings

ALWAYS_ALLOWED = 3  # rejections, whatever their share

GUARDS = {
    Outcome.REJECT: Guard.LIMIT_REJECT,
    Outcome.REQUEST_RETURN: Guard.LIMIT_REQUEST_RETURN,
    Outcome.APPROVE: Guard.LIMIT_REWARD,
    Outcome.COMPLETE: Guard.LIMIT_REWARD,
}


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits over all studies in 24 hours, None if not set. The reward is in minor units."""

    rejections: int | None = None
    requests_to_return: int | None = None
    reward: int | None = None

    @property
    def are_set(self) -> bool:
        return any(limit is not None for limit in (self.rejections, self.requests_to_return, self.reward))


def service_limits(settings: WorkerSettings) -> ServiceLimits:
    """Return the limits in the settings."""
    return ServiceLimits(
        rejections=settings.limits.get("reject_per_day"),
        requests_to_return=settings.limits.get("request_return_per_day"),
        reward=settings.limits.get("reward_per_day"),
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of the limits other submissions have used, in the study and in the whole service.

    ``outcomes`` are those of the study's last submissions, newest first. Counts are of the outcome in question,
    rewards in minor units. The default allows everything.
    """

    limits: Limits = field(default_factory=Limits)
    service_limits: ServiceLimits = field(default_factory=ServiceLimits)
    outcomes: tuple[Outcome, ...] = ()
    number: int = 0
    number_in_all: int = 0
    paid: Decimal = Decimal(0)
    paid_in_all: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Excess:
    """Why one more decision exceeds a limit. ``is_new`` is True unless the scope's breaker is open already."""

    study: str | None
    guard: Guard
    reason: str
    is_new: bool


def excess(
    outcome: Outcome,
    pays: Decimal | None,
    usage: Usage,
    study: Scope,
    service: Scope,
    *,
    already_counted: bool,
) -> Excess | None:
    """Return what one more decision of this outcome exceeds: the study's limit, else the service's, else None.

    ``pays`` is in minor units, None if unknown. A decision that is ``already_counted`` does not count again, but
    an open breaker holds it too.
    """
    guard = GUARDS.get(outcome)
    if guard is None:
        return None
    # The study comes first, because its breaker holds fewer decisions.
    for scope in (study, service):
        if breaker := scope.breaker(guard):
            return Excess(scope.study, guard, _still_open(scope, breaker.reason), is_new=False)
    if already_counted:
        return None
    if reason := _study_excess(outcome, pays, usage):
        return Excess(study.study, guard, reason, is_new=True)
    if reason := _service_excess(outcome, pays, usage):
        return Excess(None, guard, reason, is_new=True)
    return None


def _still_open(scope: Scope, reason: str) -> str:
    option = f" --study {scope.study}" if scope.study else ""
    return f"The breaker is open until somebody closes it with `autoreview resume{option}`: {reason}"


def _study_excess(outcome: Outcome, pays: Decimal | None, usage: Usage) -> str | None:
    limits = usage.limits
    match outcome:
        case Outcome.REJECT:
            return _share_excess(usage.outcomes, limits) or _number_excess(
                usage.number, limits.reject.per_day, "rejections of this study"
            )
        case Outcome.REQUEST_RETURN:
            return _number_excess(
                usage.number, limits.request_return.per_day, "requests to return of this study"
            )
        case _:
            return _reward_excess(usage.paid, pays, limits.approve.reward_per_day, "this study")


def _service_excess(outcome: Outcome, pays: Decimal | None, usage: Usage) -> str | None:
    limits, number = usage.service_limits, usage.number_in_all
    match outcome:
        case Outcome.REJECT:
            return _number_excess(number, limits.rejections, "rejections of all studies")
        case Outcome.REQUEST_RETURN:
            return _number_excess(number, limits.requests_to_return, "requests to return of all studies")
        case _:
            return _reward_excess(usage.paid_in_all, pays, limits.reward, "all studies")


def _share_excess(last: tuple[Outcome, ...], limits: Limits) -> str | None:
    """Check one more rejection against those among the study's last ``of_last - 1`` other submissions."""
    number, rejections = len(last) + 1, last.count(Outcome.REJECT) + 1
    allowed = max(ALWAYS_ALLOWED, floor(limits.reject.share * number))
    if rejections <= allowed:
        return None
    return (
        f"{rejections} rejections among the study's last {number} decisions would be more than the limit "
        f"of {allowed}."
    )


def _number_excess(number: int, per_day: int | None, what: str) -> str | None:
    if per_day is None or number + 1 <= per_day:
        return None
    return f"{per_day} {what} in 24 hours are the limit, and there were {number}."


def _reward_excess(paid: Decimal, pays: Decimal | None, per_day: int | None, where: str) -> str | None:
    if per_day is None:
        return None
    # Held, because what is not known may be beyond the limit.
    if pays is None:
        return f"The reward is not known, and the limit is {per_day} minor units in 24 hours for {where}."
    if paid + pays <= per_day:
        return None
    return (
        f"{per_day} minor units in 24 hours are the limit for {where}: {_plain(paid)} were paid, "
        f"this is {_plain(pays)}."
    )


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def pays(outcome: Outcome, request: Mapping[str, object] | None, reward: int | None) -> Decimal | None:
    """Return what a decision pays in minor units, None if the study's reward is not known."""
    if outcome not in {Outcome.APPROVE, Outcome.COMPLETE}:
        return Decimal(0)
    body = (request or {}).get("body")
    data = body.get("completion_code_data", {}) if isinstance(body, dict) else {}
    share = Decimal(str(data.get("percentage_of_reward", 100)))
    return None if reward is None else Decimal(reward) * share / 100
