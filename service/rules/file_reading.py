"""Reads a whole rule file: its text, its tree, each part by the model, and what holds between parts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service.domain.decision import AlsoActions, Approve, Hold, Outcome
from service.rules import cel, sentences
from service.rules.actions import PlannedAction
from service.rules.cases.case import Case
from service.rules.catalogue import FACTS
from service.rules.conditions import Conditions
from service.rules.evidence import (
    ENDINGS,
    EVIDENCE_TYPES,
    RECEIVED,
    RETRY_EVERY,
    Comparison,
    Signature,
    Source,
    name_problem,
)
from service.rules.facts import FieldType
from service.rules.format import document, rule_model, source_model
from service.rules.format.case_model import Test
from service.rules.format.document import Node, Scalar, Sequence
from service.rules.format.findings import START, Code, Findings, Mark, shortened
from service.rules.format.given_model import CODES
from service.rules.format.model import File
from service.rules.format.reading import Claims, Reading, find, read
from service.rules.format.source_model import ComparedField
from service.rules.format.yaml_errors import BREAK
from service.rules.lint.reach import Reach
from service.rules.lint.report import RuleReport
from service.rules.prolific_ids import SHAPE, is_id
from service.rules.rule import Quantifier, Result, Rule, When
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
    findings.subjects = _subjects(tree)
    reading = _reading(tree, claims)
    parts = FileReader(tree, reading, findings)
    head, rules, tests = parts.head(), parts.rules(), parts.tests()
    if head is None or findings.has_errors:
        return None, claims
    evidence = {name: _source(name, parsed) for name, parsed in head.evidence.items()}
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


def _subjects(tree: Node) -> dict[str, str]:
    """Return how findings call each rule and test, by its path: by name, without a name by its number."""
    return {
        f"{kind}s[{index}]": f"{kind} {_name(node) or index + 1}"
        for kind in ("rule", "test")
        for index, node in enumerate(_items(_at(tree, f"{kind}s")))
    }


def _name(node: Node) -> str:
    name = _at(node, "name")
    return f"‘{shortened(name.value)}’" if isinstance(name, Scalar) and name.value.strip() else ""


def _reading(tree: Node, claims: Claims) -> Reading:
    """Collect the names that one part declares and another uses, also in a file with errors."""
    sources = [name for name in _entries(_at(tree, "evidence")) if name_problem(name) is None]
    types: dict[str, FieldType | None] = dict(FACTS)
    for source in sources:
        fields = _entries(_at(tree, "evidence", source, "fields"))
        types |= {
            f"evidence.{source}.{field}": _kind(node)
            for field, node in fields.items()
            if not name_problem(field)
        }
        types |= {
            f"evidence.{source}.{field}{ending}": FieldType.INT
            for field, node in fields.items()
            for use, ending in ENDINGS.items()
            if (on := _at(node, use)) and isinstance(on, Scalar) and on.value == "true"
        }
        types[f"evidence.{source}.{RECEIVED}"] = FieldType.BOOL
    rules = _items(_at(tree, "rules"))
    named = [(_at(rule, "name"), _at(rule, "observe")) for rule in rules]
    names = [name.value for name, _ in named if isinstance(name, Scalar)]
    observed = [name.value for name, observe in named if isinstance(name, Scalar) and _observes(observe)]
    conditions = Conditions(types, cel.Environment(types))
    browser = [source for source in sources if _at(tree, "evidence", source, "cors") is not None]
    return Reading(types, sources, names, observed, conditions, claims, browser)


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = _entries(node).get(key)
    return node


def _entries(node: Node | None) -> dict[str, Node]:
    entries = node.entries if isinstance(node, document.Mapping) else {}
    return {key: value for key, (_, value) in entries.items()}


def _items(node: Node | None) -> list[Node]:
    return node.items if isinstance(node, Sequence) else []


def _kind(node: Node) -> FieldType | None:
    kind = _at(node, "type") if isinstance(node, document.Mapping) else node
    parsed = kind.value if isinstance(kind, Scalar) else ""
    return FieldType(parsed) if parsed in EVIDENCE_TYPES else None


def _observes(node: Node | None) -> bool:
    """Return True for any value but ``false``. An invalid value is an error of its own."""
    return node is not None and not (isinstance(node, Scalar) and node.is_bool and node.value == "false")


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
        for index, node in enumerate(_items(_at(self.tree, "rules"))):
            path = f"rules[{index}]"
            if always is not None:
                message = f"is never asked: ‘{always}’ before it always matches"
                self.findings.add(Code.UNREACHABLE, node.start, path, message)
            before = len(self.findings.found)
            self._refuse_same_name(node, path, lines)
            parsed = read(rule_model.Rule, node, path, self.reading, self.findings)
            if parsed is None:
                continue
            rule = _rule(parsed)
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
        node = _at(rule, "name")
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
        nodes = _items(_at(self.tree, "tests"))
        tests = [
            (node.start.line, read(Test, node, f"tests[{index}]", self.reading, self.findings))
            for index, node in enumerate(nodes)
        ]
        return tuple(_case(line, test) for line, test in tests if test)


def _source(name: str, parsed: source_model.Source) -> Source:
    signed = parsed.signature
    return Source(
        name=name,
        fields={
            name: field.type if isinstance(field, ComparedField) else field
            for name, field in parsed.fields_.items()
        },
        wait=parsed.wait,
        origin=parsed.origin,
        key=parsed.key,
        map=parsed.map,
        signature=Signature(signed.header, signed.prefix, signed.encoding) if signed else None,
        cors=tuple(parsed.cors or ()),
        url=parsed.url,
        query=parsed.query,
        file=parsed.file,
        retry_every=parsed.retry_every or RETRY_EVERY,
        compared={
            name: use
            for name, field in parsed.fields_.items()
            for use in Comparison
            if isinstance(field, ComparedField) and getattr(field, use.value)
        },
    )


def _rule(parsed: rule_model.Rule) -> Rule:
    if isinstance(parsed.when, rule_model.Conditions):
        [(quantifier, conditions)] = [(key, value) for key, value in parsed.when if value]
        when = When.of(Quantifier(quantifier), tuple(conditions))
    else:
        when = When.of(Quantifier.ALL, (parsed.when,))
    return Rule(
        name=parsed.name,
        when=when,
        plan=PlannedAction.of(
            parsed.action(), AlsoActions(**parsed.also.model_dump()) if parsed.also else None
        ),
        tag=parsed.tag,
        recheck_after=parsed.recheck_after,
        skips_unknown=parsed.if_unknown is not None,
        allow=frozenset(parsed.allow or ()),
        is_observed=parsed.observe,
    )


def _case(line: int, test: Test) -> Case:
    given: Mapping[str, Any] = test.given.model_dump(exclude_unset=True) if test.given else {}
    evidence = given.get("evidence") or {}
    codes = given.get(CODES)
    flat: dict[str, Any] = {}
    for group, values in given.items():
        if group not in ("evidence", CODES):
            flat |= (
                {f"{group}.{field}": value for field, value in values.items()}
                if isinstance(values, dict)
                else {group: values}
            )
    for source, values in evidence.items():
        flat |= {f"evidence.{source}.{field}": value for field, value in values.items()}
    expected = test.expect.model_dump(exclude_unset=True)
    return Case(test.name, line, flat, frozenset(evidence), None if codes is None else tuple(codes), expected)
