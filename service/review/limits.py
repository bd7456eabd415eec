"""Limits: what goes beyond one is held, and opens a breaker that a named person closes.

Exact only under the locks of ``Recorder.record``: nobody else records a decision that would count meanwhile.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import floor

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, Guard, Mode, Outcome
from service.rules import Limits
from service.store.brakes import Scope
from service.store.counting import Window, newest_outcomes, number_in_a_day, reward_in_a_day

ALWAYS_ALLOWED = 3  # rejections that no share forbids

GUARDS = {
    Outcome.REJECT: Guard.LIMIT_REJECT,
    Outcome.REQUEST_RETURN: Guard.LIMIT_REQUEST_RETURN,
    Outcome.APPROVE: Guard.LIMIT_REWARD,
    Outcome.COMPLETE: Guard.LIMIT_REWARD,
}


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Over all studies, in 24 hours; None where there is none. The reward is in minor units."""

    rejections: int | None = None
    requests_to_return: int | None = None
    reward: int | None = None

    @property
    def are_set(self) -> bool:
        return any(limit is not None for limit in (self.rejections, self.requests_to_return, self.reward))


@dataclass(frozen=True, slots=True)
class Excess:
    """Why one more is too many. ``is_new`` where no breaker is open yet, so that this opens the scope's."""

    scope: Scope
    guard: Guard
    reason: str
    is_new: bool


async def excess(
    connection: AsyncConnection,
    decision: Decision,
    limits: Limits,
    service_limits: ServiceLimits,
    study: Scope,
    service: Scope,
) -> Excess | None:
    """What this decision would go beyond: the study's limit, else the service's; None if it may stand."""
    guard = GUARDS.get(decision.outcome)
    if guard is None or decision.mode is Mode.OBSERVE:
        return None
    for scope in (study, service):
        if breaker := scope.breaker(guard):
            return Excess(scope, guard, _still_open(scope, breaker.reason), is_new=False)
    window = Window(decision.study_id, study.windows.get(guard, 0))
    if reason := await _study_excess(connection, decision, limits, window):
        return Excess(study, guard, reason, is_new=True)
    window = Window(None, service.windows.get(guard, 0))
    if reason := await _service_excess(connection, decision, service_limits, window):
        return Excess(service, guard, reason, is_new=True)
    return None


def _still_open(scope: Scope, reason: str) -> str:
    option = f" --study {scope.study}" if scope.study else ""
    return f"The breaker is open until somebody closes it with `autoreview resume{option}`: {reason}"


async def _study_excess(
    connection: AsyncConnection, decision: Decision, limits: Limits, window: Window
) -> str | None:
    match decision.outcome:
        case Outcome.REJECT:
            last = await newest_outcomes(connection, window, limits.reject.of_last - 1)
            if reason := _share_excess(last, limits):
                return reason
            return await _number_excess(connection, decision, limits.reject.per_day, window)
        case Outcome.REQUEST_RETURN:
            return await _number_excess(connection, decision, limits.request_return.per_day, window)
        case _:
            return await _reward_excess(connection, decision, limits.approve.reward_per_day, window)


async def _service_excess(
    connection: AsyncConnection, decision: Decision, limits: ServiceLimits, window: Window
) -> str | None:
    match decision.outcome:
        case Outcome.REJECT:
            return await _number_excess(connection, decision, limits.rejections, window)
        case Outcome.REQUEST_RETURN:
            return await _number_excess(connection, decision, limits.requests_to_return, window)
        case _:
            return await _reward_excess(connection, decision, limits.reward, window)


def _share_excess(last: list[Outcome], limits: Limits) -> str | None:
    """One more rejection beside those among the study's last ``of_last - 1`` decisions."""
    number, rejections = len(last) + 1, last.count(Outcome.REJECT) + 1
    allowed = max(ALWAYS_ALLOWED, floor(limits.reject.share * number))
    if rejections <= allowed:
        return None
    return f"{rejections} rejections among the study's last {number} decisions would be more than the limit of {allowed}."


async def _number_excess(
    connection: AsyncConnection, decision: Decision, per_day: int | None, window: Window
) -> str | None:
    if per_day is None:
        return None
    number = await number_in_a_day(connection, window, decision.outcome, decision.decided_at)
    if number + 1 <= per_day:
        return None
    what = "rejections" if decision.outcome is Outcome.REJECT else "requests to return"
    where = "of this study" if window.study is not None else "of all studies"
    return f"{per_day} {what} {where} in 24 hours are the limit, and there were {number}."


async def _reward_excess(
    connection: AsyncConnection, decision: Decision, per_day: int | None, window: Window
) -> str | None:
    if per_day is None:
        return None
    paid = await reward_in_a_day(connection, window, decision.decided_at)
    reward = _reward(decision)
    where = "this study" if window.study is not None else "all studies"
    if reward is None:
        return f"What it pays is not known, and the limit is {per_day} in 24 hours for {where}."
    if paid + reward <= per_day:
        return None
    paid_so_far, this = _plain(paid), _plain(reward)
    return f"{per_day} minor units in 24 hours are the limit for {where}: {paid_so_far} were paid, this is {this}."


def _reward(decision: Decision) -> Decimal | None:
    """What the decision pays, in minor units."""
    reward = decision.facts.get("study", {}).get("reward")
    body = (decision.action or {}).get("body", {})
    share = body.get("completion_code_data", {}).get("percentage_of_reward", 100)
    return None if reward is None else Decimal(str(reward)) * Decimal(str(share)) / 100


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
