"""Reads a whole rule file from its tree: the sections, in the order they stand in the design."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from service.domain.decision import Approve, Hold, Mode, Outcome
from service.rules import cel, document, sentences
from service.rules.action_reading import ActionReader
from service.rules.actions import PlannedAction
from service.rules.case_reading import CaseReader
from service.rules.conditions import ConditionReader
from service.rules.document import Node, Scalar
from service.rules.evidence import Source
from service.rules.evidence_reading import Declared, EvidenceReader
from service.rules.facts import FACTS, FieldType
from service.rules.findings import START, Code, Findings, Mark
from service.rules.reading import Entries, Reader, join
from service.rules.rule import Rule
from service.rules.rule_reading import RuleReader, rule_names
from service.rules.rulefile import Limits, RejectLimit, RuleFile

VERSION = "1"
KEYS = ("version", "name", "studies", "mode", "evidence", "limits", "rules", "otherwise", "tests")
SHARE = re.compile("([0-9]{1,3}(?:[.][0-9]{1,9})?) ?%")
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
        found = self.reader.fields(tree, "", KEYS, ("version", "name", "studies"), ("hold_at_most",))
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
        limits = self._limits(nodes["limits"]) if "limits" in nodes else Limits()
        types: dict[str, FieldType | None] = {**FACTS, **declared.types}
        environment = cel.Environment(types)
        rules = self._rules(nodes.get("rules"), types, environment)
        otherwise = self._otherwise(nodes.get("otherwise"))
        names = rule_names(nodes.get("rules"))
        tests = CaseReader(self.reader, types, declared.sources, names).read(nodes.get("tests"))
        return RuleFile(
            path=self.path,
            hash=hashlib.sha256(self.content).hexdigest(),
            name=name or "",
            studies=studies,
            mode=Mode(mode) if mode in list(Mode) else None,
            evidence=declared.sources,
            limits=limits,
            rules=rules,
            fallback=OTHERWISE[otherwise],
            tests=tests,
            source_text=text,
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

    def _limits(self, node: Node) -> Limits:
        found = self.reader.fields(node, "limits", ("reject",), later=("request_return", "approve")) or {}
        if "reject" not in found:
            return Limits()
        default, path = RejectLimit(), "limits.reject"
        keys = self.reader.fields(found["reject"].node, path, ("share", "of_last", "per_day")) or {}
        share, of_last, per_day = default.share, default.of_last, default.per_day
        if "share" in keys:
            share = self._share(keys["share"].node, join(path, "share"))
        if "of_last" in keys:
            of_last = self.reader.whole(keys["of_last"].node, join(path, "of_last"), 1) or of_last
        if "per_day" in keys:
            per_day = self.reader.whole(keys["per_day"].node, join(path, "per_day"), 0) or 0
        return Limits(RejectLimit(share, of_last, per_day))

    def _share(self, node: Node, path: str) -> Fraction:
        found = SHARE.fullmatch(node.value) if isinstance(node, Scalar) else None
        share = Fraction(found[1]) / 100 if found else None
        if share is None or share > 1:
            self.reader.wrong(node, path, "must be a share from 0% to 100%, with the sign: `10%`")
            return Fraction(0)
        return share

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
