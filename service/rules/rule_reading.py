"""Reads the list of rules."""

from dataclasses import dataclass
from datetime import timedelta

from service.rules.action_reading import ACTIONS, ActionReader
from service.rules.conditions import ConditionReader
from service.rules.format.document import Mapping, Node, Scalar, Sequence
from service.rules.format.findings import Code
from service.rules.policy_reading import PolicyReader
from service.rules.reading import Entries, Reader, join
from service.rules.rule import SKIPPABLE, Result, Rule

OBSERVE = "observe"
KEYS = ("name", "when", *ACTIONS, "tag", "recheck_after", "if_unknown", OBSERVE, "allow", "because")


@dataclass(frozen=True, slots=True)
class RuleReader:
    reader: Reader
    conditions: ConditionReader
    actions: ActionReader

    def rules(self, node: Node, path: str) -> tuple[Rule, ...]:
        """Those that can be read; what is wrong with the others, and among them, is told."""
        items = self.reader.items(node, path, "rules")
        names: dict[str, int] = {}
        rules: list[Rule] = []
        always: str | None = None
        for index, item in enumerate(items or []):
            here = f"{path}[{index}]"
            if always is not None:
                message = f"is never asked: ‘{always}’ before it always matches"
                self.reader.findings.add(Code.UNREACHABLE, item.start, here, message)
            rule = self._rule(item, here, names)
            if rule is None:
                continue
            rules.append(rule)
            if always is None and not rule.is_observed and self._always_matches(rule):
                always = rule.name
        return tuple(rules)

    def _rule(self, node: Node, path: str, names: dict[str, int]) -> Rule | None:
        found = self.reader.fields(node, path, KEYS, ("name", "when"))
        if found is None:
            return None
        told = len(self.reader.findings.found)
        name = self._name(found, path, names)
        when = self.conditions.when(found["when"].node, join(path, "when")) if "when" in found else None
        plan = self.actions.read(found, node, path)
        tag = self.reader.text(found["tag"].node, join(path, "tag")) if "tag" in found else None
        recheck_after = self._recheck_after(found, path)
        skips_unknown = self._skips_unknown(found, path)
        observed = self.reader.flag(found[OBSERVE].node, join(path, OBSERVE)) if OBSERVE in found else False
        policy = PolicyReader(self.reader, found, path)
        allowed = policy.allowed()
        if name is None or when is None or plan is None:
            return None
        rule = Rule(name, when, plan, tag, recheck_after, skips_unknown, frozenset(allowed), bool(observed))
        if len(self.reader.findings.found) == told:  # a rule with errors is put right first
            policy.judge(rule, allowed)
            policy.tell_unbounded(rule)
        return rule

    def _name(self, found: Entries, path: str, names: dict[str, int]) -> str | None:
        if "name" not in found:
            return None
        node, here = found["name"].node, join(path, "name")
        name = self.reader.text(node, here)
        if name in names:
            message = f"‘{name}’ is also the name of a rule in line {names[name]}"
            self.reader.findings.add(Code.DUPLICATE_NAME, node.start, here, message)
        elif name is not None:
            names[name] = node.start.line
        return name

    def _recheck_after(self, found: Entries, path: str) -> timedelta | None:
        if "recheck_after" not in found:
            return None
        return self.reader.duration(found["recheck_after"].node, join(path, "recheck_after"))

    def _skips_unknown(self, found: Entries, path: str) -> bool:
        entry = found.get("if_unknown")
        if entry is None or self.reader.choice(entry.node, join(path, "if_unknown"), ("skip",)) is None:
            return False
        if not any(outcome in found for outcome in SKIPPABLE):
            message = "only a reject or request_return rule can be skipped when it can't be known"
            self.reader.findings.add(Code.BAD_VALUE, entry.key, join(path, "if_unknown"), message)
        return True

    def _always_matches(self, rule: Rule) -> bool:
        """What is true while nothing is known stays true whatever is."""
        return rule.when.evaluate(self.conditions.environment.nothing).result is Result.MATCHED


def rule_names(node: Node | None, *, observed: bool = False) -> list[str]:
    """The names of all rules, or of those only observed; also of those that can't be read."""
    items = node.items if isinstance(node, Sequence) else []
    rules = [item.entries for item in items if isinstance(item, Mapping) and "name" in item.entries]
    names = [rule["name"][1] for rule in rules if not observed or _says_observe(rule)]
    return [name.value for name in names if isinstance(name, Scalar)]


def _says_observe(rule: dict[str, tuple[Scalar, Node]]) -> bool:
    """Also where it says so in the wrong words, which are told there."""
    if OBSERVE not in rule:
        return False
    _, node = rule[OBSERVE]
    return not (isinstance(node, Scalar) and node.is_bool and node.value == "false")
