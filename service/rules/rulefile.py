"""A rule file after loading: its declarations and its decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from service.domain.decision import Facts, Mode, Outcome, Reject, RequestReturn, Verdict
from service.rules import cel
from service.rules.actions import PlannedAction
from service.rules.cases.case import Case
from service.rules.deciding import decide
from service.rules.evidence import ENDINGS, Source
from service.rules.facts import FactSheet, FieldType, Plain
from service.rules.limits import Limits
from service.rules.lint.policy import Policy, corroborates, withheld
from service.rules.rule import Result, Rule

SUBMISSION, STUDY, STATS, PARTICIPANT = "submission", "study", "stats", "participant"


def groups_read(rules: Sequence[Rule], fallback: PlannedAction) -> frozenset[str]:
    """Return which groups of computed facts decisions can rest on: by conditions, texts, or policy."""
    facts = {fact for rule in rules for fact in rule.when.facts}
    for plan in (fallback, *(rule.plan for rule in rules)):
        facts |= set(plan.facts)
        if isinstance(plan.action, Reject) and plan.action.category == "TOO_QUICKLY":
            facts.add("stats.fast_outlier")  # without it, policy holds the rejection
    return frozenset({fact.partition(".")[0] for fact in facts} & {STATS, PARTICIPANT})


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A valid rule file. ``path`` is its name in the folder, ``hash`` the SHA-256 of its bytes.

    ``studies`` are the ids it claims, None for all that no other file names; ``mode`` None: the service's.
    ``hold_at_most`` is a minute or more, None: until a person decides. ``groups`` are those of ``stats`` and
    ``participant`` that its decisions can rest on.
    """

    path: str
    hash: str
    name: str
    studies: tuple[str, ...] | None
    mode: Mode | None
    evidence: Mapping[str, Source]
    limits: Limits
    hold_at_most: timedelta | None
    rules: tuple[Rule, ...]
    fallback: PlannedAction
    tests: tuple[Case, ...]
    source_text: str
    groups: frozenset[str]
    types: Mapping[str, FieldType] = field(repr=False)
    environment: cel.Environment = field(repr=False, compare=False)

    @property
    def compares(self) -> bool:
        """Return True if evidence is compared with that of other submissions."""
        return any(source.compared for source in self.evidence.values())

    @property
    def compared_facts(self) -> dict[str, str]:
        """The facts that count other submissions, each with the fact whose value they compare."""
        return {
            f"evidence.{name}.{field}{ENDINGS[use]}": f"evidence.{name}.{field}"
            for name, source in self.evidence.items()
            for field, use in source.compared.items()
            if use in ENDINGS
        }

    @property
    def otherwise(self) -> Outcome:
        return self.fallback.outcome

    def decide(self, facts: Facts) -> Verdict:
        """Decide by the facts. Pure: the same facts give the same verdict, byte for byte. Never raise."""
        return self.decide_on(FactSheet.read(facts, self.types))

    def decide_on(self, sheet: FactSheet) -> Verdict:
        """Decide as ``decide`` does, by facts that were already read."""
        bound = self.environment.bind(sheet.values, self.types)
        to_come = [name for name, source in self.evidence.items() if source.received not in sheet.values]
        return decide(self.rules, self.fallback, sheet, bound, to_come)

    def outcome(self, sheet: FactSheet) -> Outcome:
        """Return the outcome of the rules, their own guards and policy. The other guards depend on more than facts."""
        return self.judge(sheet)[1]

    def judge(self, sheet: FactSheet) -> tuple[Verdict, Outcome, str]:
        """Return the verdict, and the outcome after policy with its reason."""
        verdict = self.decide_on(sheet)
        if problem := self._withheld(verdict, sheet):
            return verdict, Outcome.HOLD, problem
        return verdict, verdict.action.outcome, verdict.reason

    def policy_problem(self, verdict: Verdict, facts: Facts) -> str | None:
        """Return why policy requires a person for this rejection, None if not. The guard ``policy`` holds it."""
        return self._withheld(verdict, FactSheet.read(facts, self.types))

    def _withheld(self, verdict: Verdict, sheet: FactSheet) -> str | None:
        rule = next((rule for rule in self.rules if rule.name == verdict.rule), None)
        allow = rule.allow if rule else frozenset()
        problem = withheld(verdict.action, allow, sheet.values.get("stats.fast_outlier") is True)
        if problem or rule is None or Policy.BROWSER in allow:
            return problem
        if isinstance(verdict.action, Reject | RequestReturn) and self._rests_on_browsers(rule, sheet):
            return f"Nothing but evidence sent by the participant's browser speaks for it: {Policy.BROWSER}."
        return None

    def _rests_on_browsers(self, rule: Rule, sheet: FactSheet) -> bool:
        """Return True if a rule matches on what browsers sent, and on nothing else that is known."""
        if not sheet.browser:
            return False
        sent = {
            fact
            for fact in sheet.values
            if fact.split(".")[0] == "evidence" and fact.split(".")[1] in sheet.browser
        }
        alone = {fact: value for fact, value in sheet.values.items() if not corroborates(fact, sheet.browser)}
        without = {fact: value for fact, value in sheet.values.items() if fact not in sent}
        return self._matches(rule, alone) and not self._matches(rule, without)

    def _matches(self, rule: Rule, values: Mapping[str, Plain]) -> bool:
        return rule.when.evaluate(self.environment.bind(values, self.types)).result is Result.MATCHED
