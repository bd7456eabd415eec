"""Judge one past submission: the old outcome, and that of the given rules. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from service.domain.decision import Complete, Facts, Guard, Outcome, Verdict
from service.domain.submission import Status, Submission
from service.rules import RuleFile
from service.rules.facts import FactSheet

PAYING = frozenset({Outcome.APPROVE, Outcome.COMPLETE})
# Guards that rules and facts alone decide: where one objects, the rules propose a hold.
RULES_OWN = frozenset({Guard.WAITING, Guard.UNDECIDABLE, Guard.MESSAGE, Guard.POLICY})
# Guards that are asked after those: where one of these objects, the rules propose what was recorded.
AFTER_POLICY = frozenset(
    {Guard.MODE, Guard.PAUSED, Guard.LIMIT_REJECT, Guard.LIMIT_REQUEST_RETURN, Guard.LIMIT_REWARD}
)


@dataclass(frozen=True, slots=True)
class Side:
    """The old or the new outcome. ``pays`` is in minor units, None if the reward is not known."""

    outcome: Outcome
    rule: str | None
    reason: str
    pays: Decimal | None = None
    trace: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged submission. ``old`` is None if it was not decided, ``is_manual`` True if a person decided.

    ``at`` is the time as of which it is judged, ``taken`` are seconds from start to completion. ``decision_id`` is
    the deciding decision, whose trace is the old explanation.
    """

    submission_id: str
    old: Side | None
    new: Side
    reward: int | None
    at: datetime
    taken: int | None = None
    decision_id: int | None = None
    is_manual: bool = False
    as_of_now: bool = False

    def without_traces(self) -> "Judged":
        """Return it without the explanations, which take most of the memory."""
        old = replace(self.old, trace=()) if self.old else None
        return replace(self, old=old, new=replace(self.new, trace=()))

    @property
    def is_changed(self) -> bool:
        """Return True if the outcome differs. A hold leaves a manual decision to the person."""
        if self.old is None or self.old.outcome is self.new.outcome:
            return False
        return not (self.is_manual and self.new.outcome is Outcome.HOLD)

    @property
    def contradicts(self) -> bool:
        """Return True if it differs from a manual decision."""
        return self.is_manual and self.is_changed


def decider(rule: str | None, *, is_manual: bool = False) -> str:
    """Return what decided, for a table. Without a rule, the reason says why."""
    return "a person" if is_manual else rule or "no rule"


def side_of(file: RuleFile, facts: Facts) -> Side:
    """Return what a file's rules propose."""
    verdict, outcome, reason = file.judge(FactSheet.read(facts, file.types))
    return Side(outcome, verdict.rule, reason, pays(outcome, verdict, reward_of(facts)), verdict.trace)


def is_exact(guard: Guard | None) -> bool:
    """Return True if a recorded decision contains what its rules proposed. Else they are evaluated again."""
    return guard is None or guard in RULES_OWN | AFTER_POLICY


def recorded_outcome(proposed: Outcome, guard: Guard | None) -> Outcome:
    """Return what the rules of a recorded decision proposed, before pauses, limits and the mode."""
    return Outcome.HOLD if guard in RULES_OWN else proposed


def pays(outcome: Outcome, verdict: Verdict | None, reward: int | None) -> Decimal | None:
    """Return what an outcome pays in minor units; a completion pays its percentage."""
    if outcome not in PAYING:
        return Decimal(0)
    if reward is None:
        return None
    action = verdict.action if verdict else None
    # A fixed screen-out has no percentage, and what it pays is not known here: the whole reward is assumed.
    share = action.percentage_of_reward if isinstance(action, Complete) else None
    return Decimal(reward) * Decimal(str(100 if share is None else share)) / 100


def shown_by(submission: Submission) -> Outcome | None:
    """Return the outcome that Prolific shows, None if it was not decided or the participant returned it."""
    match submission.status:
        case Status.APPROVED:
            return Outcome.APPROVE
        case Status.REJECTED:
            return Outcome.REJECT
        case Status.PARTIALLY_APPROVED | Status.SCREENED_OUT:
            return Outcome.COMPLETE
        # Without a request the participant returned it unasked, which no rule decides.
        case Status.RETURNED if submission.return_requested_at is not None:
            return Outcome.REQUEST_RETURN
        case _:
            return None


def reward_of(facts: Facts) -> int | None:
    """Return the study's reward, as the facts have it."""
    found = (facts.get("study") or {}).get("reward")
    return found if isinstance(found, int) and not isinstance(found, bool) else None
