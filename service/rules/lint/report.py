"""Adds the findings of the checks of a rule."""

from collections.abc import Collection
from dataclasses import dataclass

from service.rules.facts import LONGEST_TEXT
from service.rules.format.document import Mapping, Node, Scalar, Sequence
from service.rules.format.findings import Code, Findings, Mark, Severity
from service.rules.format.positions import place
from service.rules.format.reading import find
from service.rules.lint import patterns
from service.rules.lint.impossible import impossible, impossible_code_type
from service.rules.lint.reach import Reached
from service.rules.lint.remarks import Remark, remarks
from service.rules.rule import Rule

REACH = {
    "never": Code.NEVER_DECIDES,
    "always": Code.ALWAYS_DECIDES,
    "same": Code.SAME_CONDITION,
    "gap": Code.GAP,
}


@dataclass(frozen=True, slots=True)
class RuleReport:
    """Adds findings of one rule. ``path`` is its place in the file, ``because`` the reason for what it allows.

    ``browser`` are the sources that participants' browsers may send.
    """

    findings: Findings
    node: Node
    path: str
    because: str = ""
    browser: Collection[str] = ()

    def judge(self, rule: Rule) -> None:
        """Add a finding for each remark, with the reason where it is allowed, and for each needless ``allow``."""
        found = remarks(rule, self.browser)
        for remark in found:
            self._add(remark, remark.code in rule.allow)
        for code in rule.allow - {remark.code for remark in found}:
            message = f"nothing here is against {code}: take it out"
            _, listed, where = find(self.node, self.path, ("allow",))
            items = listed.items if isinstance(listed, Sequence) else []
            at = next(item.start for item in items if isinstance(item, Scalar) and item.value == code)
            self.findings.add(Code.NEEDLESS_ALLOW, at, where, message, severity="warning")

    def check_unbounded(self, rule: Rule) -> None:
        """Add a finding for each pattern that may have to read a long text."""
        for number, offset, fact in patterns.unbounded(rule.when):
            at, path = self._condition(number, offset)
            message = (
                f"matches() reads up to {LONGEST_TEXT:,} characters of {fact}, which may take long: write "
                f"`size({fact}) < 1000 &&` before it"
            )
            self.findings.add(Code.UNBOUNDED_TEXT, at, path, message, severity="warning")

    def check_impossible(self, rule: Rule) -> None:
        """Add a finding for each comparison that is always false or always true, and for a misspelt code type."""
        for found in impossible(rule.when):
            at, path = self._condition(found.condition, found.offset)
            self.findings.add(Code.IMPOSSIBLE_VALUE, at, path, found.message, severity=found.severity)
        if message := impossible_code_type(rule):
            _, node, path = find(self.node, self.path, ("complete", "code_type"))
            self.findings.add(Code.IMPOSSIBLE_VALUE, node.start, path, message, severity="warning")

    def add_reach(self, found: Reached) -> None:
        """Add a finding for a rule that the others keep from deciding."""
        at, path = self._condition(0, 0)
        self.findings.add(REACH[found.kind], at, path, found.message, severity="warning")

    def _add(self, remark: Remark, is_allowed: bool) -> None:
        at, path = self._place(remark)
        message = (
            f"{remark.message} (allowed: {' '.join(self.because.split())})" if is_allowed else remark.message
        )
        severity: Severity = "allowed" if is_allowed else "warning"
        self.findings.add(remark.code, at, path, message, severity)

    def _place(self, remark: Remark) -> tuple[Mark, str]:
        if remark.part == "when":
            return self._condition(remark.condition, remark.offset)
        if remark.part in ("message", "category"):
            _, node, path = find(self.node, self.path, ("reject", remark.part))
            return node.start, path
        key, _, path = find(self.node, self.path, (remark.part,))
        return key, path

    def _condition(self, number: int, offset: int) -> tuple[Mark, str]:
        _, node, path = find(self.node, self.path, ("when",))
        if isinstance(node, Mapping):
            [key] = node.entries
            _, node, path = find(node, path, (key, number))
        return place(node, offset) if isinstance(node, Scalar) else node.start, path
