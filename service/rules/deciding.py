"""Evaluate rules in order. The first true rule decides. An unknown rule never costs a participant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.domain.decision import Action, AlsoActions, Guard, Hold, Verdict
from service.domain.evidence import ORIGIN, EvidenceOrigin
from service.rules import sentences
from service.rules.actions import PlannedAction, text_problem
from service.rules.cel import Bound
from service.rules.facts import FactSheet
from service.rules.rule import Asked, Rule


@dataclass(frozen=True, slots=True)
class Proposal:
    """The deciding rule or ``otherwise``, before unknown rules are considered.

    ``trace`` has the rules evaluated up to it, observed ones too.
    """

    plan: PlannedAction
    rule: str | None
    why: str
    tag: str | None
    recheck_after: timedelta | None
    trace: tuple[Asked, ...]

    @property
    def unknown(self) -> tuple[Asked, ...]:
        return tuple(asked for asked in self.trace if asked.is_unknown)


def decide(
    rules: Sequence[Rule],
    otherwise: PlannedAction,
    sheet: FactSheet,
    bound: Bound,
    to_come: Sequence[str],
) -> Verdict:
    """Apply the rules' own guards to a proposal. ``to_come`` are the sources that may still answer."""
    proposal = _propose(rules, otherwise, sheet, bound)
    missing = proposal.plan.missing(sheet) if proposal.plan.facts else ()
    unknowns = [sentences.cannot_rule_out(asked.rule.name, asked.why) for asked in proposal.unknown]
    text_unknown = sentences.text_lacks(proposal.rule, missing, sheet) if missing else None
    if to_come and (unknowns or text_unknown):
        reasons = [*unknowns, text_unknown] if text_unknown else unknowns
        return _held(proposal, sheet, Guard.WAITING, sentences.waiting(to_come, reasons))
    blocking = [asked for asked in proposal.unknown if asked.rule.blocks(proposal.plan.outcome)]
    if blocking:
        reasons = [sentences.cannot_rule_out(asked.rule.name, asked.why) for asked in blocking]
        return _held(proposal, sheet, Guard.UNDECIDABLE, sentences.undecidable(reasons))
    if text_unknown:
        return _held(proposal, sheet, Guard.MESSAGE, sentences.held_by_text(text_unknown))
    action = proposal.plan.filled(sheet) if proposal.plan.texts else proposal.plan.action
    also = proposal.plan.filled_also(sheet)
    if problem := text_problem(action, proposal.rule, also):
        return _held(proposal, sheet, Guard.MESSAGE, sentences.held_by_text(problem))
    return _acted(proposal, sheet, action, also)


def _propose(rules: Sequence[Rule], otherwise: PlannedAction, sheet: FactSheet, bound: Bound) -> Proposal:
    trace: list[Asked] = []
    for rule in rules:
        asked = rule.ask(sheet, bound)
        trace.append(asked)
        if asked.decides:
            return Proposal(rule.plan, rule.name, asked.why, rule.tag, rule.recheck_after, tuple(trace))
    return Proposal(otherwise, None, "", None, None, tuple(trace))


def _acted(proposal: Proposal, sheet: FactSheet, action: Action, also: AlsoActions | None) -> Verdict:
    why = action.reason if isinstance(action, Hold) else proposal.why
    reason = sentences.decided(action.outcome, proposal.rule, why)
    if proposal.unknown:
        reason += sentences.skipped(asked.rule.name for asked in proposal.unknown)
    return Verdict(
        proposed=action.outcome,
        action=action,
        rule=proposal.rule,
        guard=None,
        reason=reason,
        trace=_trace(proposal, sheet),
        tag=proposal.tag,
        recheck_after=proposal.recheck_after,
        also=also,
    )


def _held(proposal: Proposal, sheet: FactSheet, guard: Guard, reason: str) -> Verdict:
    """Return a hold. It has no tag and no timer: those belong to the action of the rule."""
    return Verdict(
        proposed=proposal.plan.outcome,
        action=Hold(reason),
        rule=proposal.rule,
        guard=guard,
        reason=reason,
        trace=_trace(proposal, sheet),
    )


def _trace(proposal: Proposal, sheet: FactSheet) -> tuple[dict[str, object], ...]:
    origins = {fact: origin for asked in proposal.trace for fact, origin in asked.rule.when.facts.items()}
    seen: dict[str, dict[str, object]] = {
        fact: {"fact": fact, "value": sheet.values.get(fact), "source": origin, "age_s": sheet.age(fact)}
        for fact, origin in origins.items()
    }
    for fact, shown in seen.items():
        if fact.startswith("evidence.") and fact.split(".")[1] in sheet.browser:
            shown[ORIGIN] = EvidenceOrigin.BROWSER.value
    return tuple(asked.as_trace(seen) for asked in proposal.trace)
