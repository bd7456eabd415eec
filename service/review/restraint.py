"""What holds a judged decision back after all: a pause, a limit; and what ends a hold that nobody looked at."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, Guard, Mode, Outcome
from service.review.limits import Excess, ServiceLimits, excess
from service.rules import RuleFile
from service.store.brakes import Pause, Scope, scopes_of
from service.store.decisions import held_since

APPROVAL = {"endpoint": "transition", "body": {"action": "APPROVE"}}


@dataclass(frozen=True, slots=True)
class Restrained:
    """The decision as it may stand, and the limit it went beyond, if it did."""

    decision: Decision
    excess: Excess | None = None


@dataclass(frozen=True, slots=True)
class Restraint:
    """The brakes and limits as they are for one study now. Exact only under the locks of ``Recorder.record``."""

    connection: AsyncConnection
    rule_file: RuleFile
    service_limits: ServiceLimits
    study: Scope
    service: Scope

    @classmethod
    async def of(
        cls,
        connection: AsyncConnection,
        study_id: str | None,
        rule_file: RuleFile,
        service_limits: ServiceLimits,
    ) -> "Restraint":
        study, service = await scopes_of(connection, study_id)
        return cls(connection, rule_file, service_limits, study, service)

    def lets_stand(self, last: Decision, new: Decision) -> bool:
        """Whether the same was decided before and nothing but a limit, which counted it, could object to it now."""
        if self.service.pause or self.study.pause:
            return False
        if last.guard is Guard.HOLD_EXPIRED:  # the rules still hold it
            return new.guard is not Guard.REOPENED and _of_the_same(last, new)
        return new.outcome is not Outcome.HOLD and says_the_same(last, new)

    async def apply(self, decision: Decision) -> Restrained:
        """The decision, or a hold; a hold that lasted too long becomes an approval, which is judged anew."""
        restrained = await self._held_back(decision)
        if not _is_for_a_person(restrained.decision):
            return restrained
        ends = await self._hold_ends(restrained.decision)
        if ends is None:
            return restrained
        if ends > decision.decided_at:
            return replace(restrained, decision=_looked_at_by(restrained.decision, ends))
        assert self.rule_file.hold_at_most
        return await self._held_back(_expired(restrained.decision, self.rule_file.hold_at_most))

    async def _held_back(self, decision: Decision) -> Restrained:
        if decision.outcome is Outcome.HOLD or decision.mode is Mode.OBSERVE:
            return Restrained(decision)
        if pause := self.service.pause or self.study.pause:
            return Restrained(_hold(decision, Guard.PAUSED, _paused(pause)))
        limits = self.rule_file.limits
        over = await excess(self.connection, decision, limits, self.service_limits, self.study, self.service)
        return Restrained(_hold(decision, over.guard, over.reason), over) if over else Restrained(decision)

    async def _hold_ends(self, decision: Decision) -> datetime | None:
        """By when somebody has to look at it, where the rule file says so; after a pause it counts anew."""
        if self.rule_file.hold_at_most is None:
            return None
        since = await held_since(self.connection, decision.submission_id) or decision.decided_at
        resumed = [at for at in (self.study.resumed_at, self.service.resumed_at) if at]
        return max([since, *resumed]) + self.rule_file.hold_at_most


def says_the_same(last: Decision, new: Decision) -> bool:
    """Whether a review came to the same as the last one; that time went by is nothing new."""

    def said(decision: Decision) -> tuple[Any, ...]:
        return (decision.outcome, decision.guard, decision.action)

    return _of_the_same(last, new) and said(last) == said(new)


def _of_the_same(last: Decision, new: Decision) -> bool:
    """Whether both rest on the same facts and rules."""

    def basis(decision: Decision) -> tuple[Any, ...]:
        facts = {name: value for name, value in decision.facts.items() if name != "now"}
        return (facts, decision.rule, decision.rules_hash, decision.mode)

    return basis(last) == basis(new)


def _is_for_a_person(decision: Decision) -> bool:
    """Held in the queue: not waiting for evidence, not observed, and by nothing that time never passes."""
    at_rest = {Guard.WAITING, Guard.PAUSED, Guard.REOPENED}
    is_held = decision.outcome is Outcome.HOLD and decision.mode is not Mode.OBSERVE
    return is_held and decision.guard not in at_rest


def _paused(pause: Pause) -> str:
    what = "This study is" if pause.study else "The service is"
    return f"{what} paused by {pause.by}: {pause.reason}"


def _hold(decision: Decision, guard: Guard, reason: str) -> Decision:
    return replace(decision, outcome=Outcome.HOLD, guard=guard, reason=reason, action=None, recheck_at=None)


def _looked_at_by(decision: Decision, ends: datetime) -> Decision:
    return replace(decision, recheck_at=min(decision.recheck_at or ends, ends))


def _expired(decision: Decision, after: timedelta) -> Decision:
    hours = after / timedelta(hours=1)
    reason = f"Nobody looked at it for {hours:g} hours, so it is approved. It was held: {decision.reason}"
    return replace(
        decision,
        outcome=Outcome.APPROVE,
        guard=Guard.HOLD_EXPIRED,
        reason=reason,
        action=APPROVAL,
        recheck_at=None,
    )
