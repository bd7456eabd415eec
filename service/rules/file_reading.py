"""Reads a whole rule file: its text, its tree, each part by the model, and what holds between parts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from service.domain.decision import Approve, Hold, Outcome
from service.rules import sentences
from service.rules.actions import PlannedAction
from service.rules.building import case_of, rule_of, source_of
from service.rules.cases.case import Case
from service.rules.format import document, rule_model
from service.rules.format.case_model import Test
from service.rules.format.declarations import context, items_of, node_at, subjects
from service.rules.format.document import Node, Scalar, Sequence
from service.rules.format.findings import START, Code, Findings, Mark
from service.rules.format.model import File
from service.rules.format.reading import Claims, Reading, find, read
from service.rules.format.yaml_errors import BREAK
from service.rules.lint.impossible import impossible_given
from service.rules.lint.reach import Reach
from service.rules.lint.report import RuleReport
from service.rules.prolific_ids import SHAPE, is_id
from service.rules.rule import Result, Rule
from service.rules.rulefile import RuleFile, groups_read

PAID_AFTER = timedelta(days=21)  # then Prolific approves submissions without a review
OTHERWISE = {
    Outcome.APPROVE: PlannedAction(Approve()),
    Outcome.HOLD: PlannedAction(Hold(sentences.NO_RULE_MATCHED)),
}


def read_file(path: str, content: bytes, findings: Findings) -> tuple[RuleFile | None, Claims]:
    """Return the file, None with findings if it has errors. ``path`` is its name in decisions."""
    claims = Claims()
    if not content.strip():
        findings.add(Code.EMPTY, START, "", "the file is empty")
        return None, claims
    findings.lines = BREAK.split(content.decode("utf-8", "replace").removeprefix("\ufeff"))
    if content.count(0):  # not a text, or UTF-16: its lines would be unreadable
        findings.lines = ()
    text = _decoded(content, findings)
    tree = document.read(text, findings) if text is not None else None
    if text is None or tree is None:
        return None, claims
    findings.subjects = subjects(tree)
    reading = context(tree, claims)
    parts = FileReader(tree, reading, findings)
    head, rules, tests = parts.head(), parts.rules(), parts.tests()
    if head is None or findings.has_errors:
        return None, claims
    evidence = {name: source_of(name, parsed) for name, parsed in head.evidence.items()}
    fallback = OTHERWISE[head.otherwise]
    file = RuleFile(
        path=path,
        hash=hashlib.sha256(content).hexdigest(),
        name=head.name,
        studies=head.studies,
        mode=head.mode,
        evidence=evidence,
        limits=head.limits,
        hold_at_most=head.hold_at_most,
        rules=rules,
        fallback=fallback,
        tests=tests,
        source_text=text,
        groups=groups_read(rules, fallback),
        types={fact: kind for fact, kind in reading.types.items() if kind},
        environment=reading.conditions.environment,
    )
    return file, claims


def _decoded(content: bytes, findings: Findings) -> str | None:
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        at = Mark(before.count(b"\n") + 1, column)
        kind = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        findings.add(Code.UNREADABLE, at, "", f"{kind}: save the file as UTF-8")
        return None


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads rules and tests one by one, so that an error in one does not hide the errors of another."""

    tree: Node
    reading: Reading
    findings: Findings

    def head(self) -> File | None:
        """Read everything but the rules and tests."""
        tree = self.tree
        if isinstance(tree, document.Mapping):
            entries = {
                key: (
                    name,
                    Sequence(node.start)
                    if key in ("rules", "tests") and isinstance(node, Sequence)
                    else node,
                )
                for key, (name, node) in tree.entries.items()
            }
            tree = document.Mapping(tree.start, entries)
        head = read(File, tree, "", self.reading, self.findings)
        self._check_ids()
        if head and head.hold_at_most and head.hold_at_most > PAID_AFTER:
            _, node, path = find(tree, "", ("hold_at_most",))
            message = f"has no effect: Prolific itself pays on day {PAID_AFTER.days}"
            self.findings.add(Code.NO_EFFECT, node.start, path, message, severity="warning")
        return head

    def _check_ids(self) -> None:
        """Add a finding for each study id that Prolific can't have: no submission will ever be one of its study."""
        for study, at in self.reading.claims.ids.items():
            if not is_id(study):
                message = f"`{study}` is no study id, which has {SHAPE}: write the one in the address of your study on Prolific"
                self.findings.add(Code.STUDY_ID, at, "studies", message, severity="warning")

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that can be read."""
        rules: list[Rule] = []
        lines: dict[str, int] = {}
        paths: dict[str, tuple[Node, str]] = {}
        always: str | None = None
        for index, node in enumerate(items_of(node_at(self.tree, "rules"))):
            path = f"rules[{index}]"
            if always is not None:
                message = f"is never asked: ‘{always}’ before it always matches"
                self.findings.add(Code.UNREACHABLE, node.start, path, message)
            before = len(self.findings.found)
            self._refuse_same_name(node, path, lines)
            parsed = read(rule_model.Rule, node, path, self.reading, self.findings)
            if parsed is None:
                continue
            rule = rule_of(parsed)
            if len(self.findings.found) == before:  # the author corrects a rule's errors first
                report = RuleReport(self.findings, node, path, parsed.because or "", self.reading.browser)
                report.judge(rule)
                report.check_unbounded(rule)
                report.check_impossible(rule)
            rules.append(rule)
            paths[rule.name] = (node, path)
            if always is None and not rule.is_observed and self._always_matches(rule):
                always = rule.name
        if not self.findings.has_errors:
            self._add_reach(rules, paths)
        return tuple(rules)

    def _add_reach(self, rules: list[Rule], paths: Mapping[str, tuple[Node, str]]) -> None:
        """Add a finding for each rule that the others keep from deciding."""
        types = {fact: kind for fact, kind in self.reading.types.items() if kind}
        for found in Reach(rules, types, self.reading.conditions.environment).findings():
            node, path = paths[found.rule.name]
            RuleReport(self.findings, node, path).add_reach(found)

    def _refuse_same_name(self, rule: Node, path: str, lines: dict[str, int]) -> None:
        node = node_at(rule, "name")
        if not isinstance(node, Scalar):
            return
        if node.value in lines:
            message = f"‘{node.value}’ is also the name of a rule in line {lines[node.value]}"
            self.findings.add(Code.DUPLICATE_NAME, node.start, f"{path}.name", message)
        lines.setdefault(node.value, node.start.line)

    def _always_matches(self, rule: Rule) -> bool:
        """Return True if the rule matches without any fact. Then it matches with all facts too."""
        return rule.when.evaluate(self.reading.conditions.environment.nothing).result is Result.MATCHED

    def tests(self) -> tuple[Case, ...]:
        """Return the tests that can be read."""
        cases: list[Case] = []
        for index, node in enumerate(items_of(node_at(self.tree, "tests"))):
            path = f"tests[{index}]"
            if parsed := read(Test, node, path, self.reading, self.findings):
                case = case_of(node.start.line, parsed)
                self._check_given(case, node, path)
                cases.append(case)
        return tuple(cases)

    def _check_given(self, case: Case, test: Node, path: str) -> None:
        """Add a finding for each value that never occurs. Only a warning: a test decides no submission."""
        for loc, message in impossible_given(case):
            _, node, place = find(test, path, ("given", *loc))
            self.findings.add(Code.IMPOSSIBLE_VALUE, node.start, place, message, severity="warning")
