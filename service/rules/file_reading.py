"""Reads a whole rule file from its tree: the sections, in the order they stand in the design."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from service.domain.decision import Approve, Hold, Mode, Outcome
from service.rules import cel, sentences
from service.rules.action_reading import ActionReader
from service.rules.actions import PlannedAction
from service.rules.case_reading import CaseReader
from service.rules.conditions import ConditionReader
from service.rules.evidence import Source
from service.rules.evidence_reading import Declared, EvidenceReader
from service.rules.facts import FACTS, FieldType
from service.rules.format import document
from service.rules.format.document import Node, Scalar
from service.rules.format.findings import START, Code, Findings, Mark
from service.rules.limit_reading import LimitReader
from service.rules.limits import Limits
from service.rules.reading import Entries, Reader
from service.rules.rule import Rule
from service.rules.rule_reading import RuleReader, rule_names
from service.rules.rulefile import RuleFile, groups_read

VERSION = "1"
KEYS = (
    *("version", "name", "studies", "mode", "evidence"),
    *("limits", "hold_at_most", "rules", "otherwise", "tests"),
)
LEAST_HOLD = timedelta(minutes=1)
PAID_AFTER = timedelta(days=21)  # Prolific approves what nobody reviewed (reference 0, fact 10)
OTHERWISE = {
    Outcome.APPROVE: PlannedAction(Approve()),
    Outcome.HOLD: PlannedAction(Hold(sentences.NO_RULE_MATCHED)),
}


@dataclass(slots=True)
class Claims:
    """The studies a file asks for and where it does, also when the file has errors."""

    ids: dict[str, Mark] = field(default_factory=dict)
    everything: Mark | None = None


@dataclass(frozen=True, slots=True)
class FileReader:
    """``path`` is how the file is called in decisions."""

    path: str
    content: bytes
    findings: Findings
    claims: Claims = field(default_factory=Claims)

    @property
    def reader(self) -> Reader:
        return Reader(self.findings)

    def read(self) -> RuleFile | None:
        """None with findings, if anything is wrong."""
        text = self._text()
        tree = document.read(text, self.findings) if text is not None else None
        if text is None or tree is None:
            return None
        found = self.reader.fields(tree, "", KEYS, ("version", "name", "studies"))
        loaded = self._sections(found, text) if found is not None else None
        return None if self.findings.has_errors else loaded

    def _text(self) -> str | None:
        try:
            return self.content.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            before = self.content[: error.start]
            column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
            at = Mark(before.count(b"\n") + 1, column)
            self.findings.add(Code.UNREADABLE, at, "", "not UTF-8: save the file as UTF-8")
            return None

    def _sections(self, found: Entries, text: str) -> RuleFile:
        nodes = {key: entry.node for key, entry in found.items()}
        self._version(nodes.get("version"))
        name = self.reader.text(nodes["name"], "name") if "name" in nodes else None
        studies = self._studies(nodes["studies"]) if "studies" in nodes else ()
        mode = self.reader.choice(nodes["mode"], "mode", list(Mode)) if "mode" in nodes else None
        declared = EvidenceReader(self.reader).read(nodes["evidence"]) if "evidence" in nodes else Declared()
        limits = LimitReader(self.reader).read(nodes["limits"]) if "limits" in nodes else Limits()
        hold_at_most = self._hold_at_most(nodes["hold_at_most"]) if "hold_at_most" in nodes else None
        types: dict[str, FieldType | None] = {**FACTS, **declared.types}
        environment = cel.Environment(types)
        rules = self._rules(nodes.get("rules"), types, environment)
        otherwise = self._otherwise(nodes.get("otherwise"))
        names = rule_names(nodes.get("rules"))
        observed = rule_names(nodes.get("rules"), observed=True)
        cases = CaseReader(self.reader, types, declared.sources, names, observed)
        return RuleFile(
            path=self.path,
            hash=hashlib.sha256(self.content).hexdigest(),
            name=name or "",
            studies=studies,
            mode=Mode(mode) if mode in list(Mode) else None,
            evidence=declared.sources,
            limits=limits,
            hold_at_most=hold_at_most,
            rules=rules,
            fallback=OTHERWISE[otherwise],
            tests=cases.read(nodes.get("tests")),
            source_text=text,
            groups=groups_read(rules, OTHERWISE[otherwise]),
            types=_types(declared.sources),
            environment=environment,
        )

    def _version(self, node: Node | None) -> None:
        if node is None or (isinstance(node, Scalar) and node.plain and node.value == VERSION):
            return
        self.reader.wrong(
            node, "version", f"must be {VERSION}, the version of the format that this autoreview reads"
        )

    def _studies(self, node: Node) -> tuple[str, ...] | None:
        if isinstance(node, Scalar) and node.value == "all":
            self.claims.everything = node.start
            return None
        if isinstance(node, Scalar):
            self.reader.refuse(node, "studies", "a list of ids (`- 60aca280709ee40ec37d4885`), or `all`")
            return ()
        for index, item in enumerate(self.reader.items(node, "studies", "study ids") or []):
            self._study(item, f"studies[{index}]")
        return tuple(self.claims.ids)

    def _study(self, node: Node, path: str) -> None:
        study = self.reader.text(node, path)
        if study is None:
            return
        if study == "all":
            self.reader.wrong(node, path, "for every study write `studies: all`, without the list")
        elif study.split() != [study]:
            self.reader.wrong(node, path, "a study's id has no spaces")
        elif study in self.claims.ids:
            self.reader.wrong(node, path, f"{study} stands twice in the list")
        else:
            self.claims.ids[study] = node.start

    def _hold_at_most(self, node: Node) -> timedelta | None:
        path = "hold_at_most"
        duration = self.reader.duration(node, path)
        if duration is None or duration < LEAST_HOLD:
            if duration is not None:
                self.reader.wrong(node, path, "must be a minute or more: `72h`")
            return None
        if duration > PAID_AFTER:
            message = f"has no effect: Prolific itself pays on day {PAID_AFTER.days}"
            self.findings.add(Code.NO_EFFECT, node.start, path, message, severity="warning")
        return duration

    def _rules(
        self,
        node: Node | None,
        types: Mapping[str, FieldType | None],
        environment: cel.Environment,
    ) -> tuple[Rule, ...]:
        if node is None or (isinstance(node, document.Sequence) and not node.items):
            return ()
        conditions = ConditionReader(self.reader, types, environment)
        return RuleReader(self.reader, conditions, ActionReader(self.reader, types)).rules(node, "rules")

    def _otherwise(self, node: Node | None) -> Outcome:
        chosen = self.reader.choice(node, "otherwise", list(OTHERWISE)) if node is not None else None
        return Outcome(chosen) if chosen in list(OTHERWISE) else Outcome.HOLD


def _types(sources: Mapping[str, Source]) -> dict[str, FieldType]:
    types = dict(FACTS)
    for source in sources.values():
        types |= source.facts()
    return types


def read_file(path: str, content: bytes, findings: Findings) -> tuple[RuleFile | None, Claims]:
    file = FileReader(path, content, findings)
    if not content.strip():
        findings.add(Code.EMPTY, START, "", "the file is empty")
        return None, file.claims
    return file.read(), file.claims
