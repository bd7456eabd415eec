"""Reads ``allow`` and ``because``, and tells what policy says of a rule at the place it is about."""

from dataclasses import dataclass

from service.rules.facts import LONGEST_TEXT
from service.rules.format import document
from service.rules.format.document import Node, Scalar
from service.rules.format.findings import Code, Mark, Severity
from service.rules.format.positions import place
from service.rules.lint import patterns
from service.rules.lint.hints import did_you_mean
from service.rules.lint.policy import Policy
from service.rules.lint.remarks import Remark, remarks
from service.rules.reading import Entries, Reader, join
from service.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """``found`` are the keys of one rule, ``path`` is where it stands."""

    reader: Reader
    found: Entries
    path: str

    def allowed(self) -> dict[str, Mark]:
        """The codes that the rule allows, with their places."""
        for key, needed in (("allow", "because"), ("because", "allow")):
            if key in self.found and needed not in self.found:
                message = f"`{needed}` is missing: `allow` says which finding, `because` why it is fine here"
                self.reader.findings.add(Code.MISSING_KEY, self.found[key].key, self.path, message)
        if "because" in self.found:
            self.reader.text(self.found["because"].node, join(self.path, "because"))
        if "allow" not in self.found:
            return {}
        here = join(self.path, "allow")
        items = self.reader.items(self.found["allow"].node, here, "codes") or []
        codes = {self._code(item, f"{here}[{index}]"): item.start for index, item in enumerate(items)}
        return {code: at for code, at in codes.items() if code is not None}

    def _code(self, node: Node, path: str) -> str | None:
        code = self.reader.text(node, path)
        if code is None or code in list(Policy):
            return code
        message = f"`{code}` is no policy finding, POL001 to {max(Policy)}{did_you_mean(code, list(Policy))}"
        self.reader.wrong(node, path, message)
        return None

    def judge(self, rule: Rule, allowed: dict[str, Mark]) -> None:
        """Add a finding for each remark; one that is allowed says why, one that allows nothing is told."""
        said = remarks(rule)
        for remark in said:
            self._tell(remark, remark.code in allowed)
        for code in allowed.keys() - {remark.code for remark in said}:
            message = f"nothing here is against {code}: take it out"
            where = join(self.path, "allow")
            self.reader.findings.add(Code.NEEDLESS_ALLOW, allowed[code], where, message, severity="warning")

    def _tell(self, remark: Remark, is_allowed: bool) -> None:
        at, path = self._place(remark)
        message = f"{remark.message} (allowed: {self._because()})" if is_allowed else remark.message
        severity: Severity = "allowed" if is_allowed else "warning"
        self.reader.findings.add(remark.code, at, path, message, severity)

    def _because(self) -> str:
        node = self.found["because"].node if "because" in self.found else None
        return " ".join(node.value.split()) if isinstance(node, Scalar) else ""

    def tell_unbounded(self, rule: Rule) -> None:
        """Add a finding for each pattern that may have to read a long text."""
        for number, offset, fact in patterns.unbounded(rule.when):
            at, path = self._condition(number, offset)
            message = (
                f"matches() reads up to {LONGEST_TEXT:,} characters of {fact}, which may take long: write "
                f"`size({fact}) < 1000 &&` before it"
            )
            self.reader.findings.add(Code.UNBOUNDED_TEXT, at, path, message, severity="warning")

    def _place(self, remark: Remark) -> tuple[Mark, str]:
        if remark.part == "when":
            return self._condition(remark.condition, remark.offset)
        if remark.part in self.found:
            return self.found[remark.part].key, join(self.path, remark.part)
        rejection = self.found["reject"].node
        if not isinstance(rejection, document.Mapping):
            return rejection.start, join(self.path, "reject")
        return rejection.entries[remark.part][1].start, join(self.path, f"reject.{remark.part}")

    def _condition(self, number: int, offset: int) -> tuple[Mark, str]:
        node, path = self.found["when"].node, join(self.path, "when")
        if isinstance(node, document.Mapping):
            [(key, (_, listed))] = node.entries.items()
            path = f"{join(path, key)}[{number}]"
            node = listed.items[number] if isinstance(listed, document.Sequence) else listed
        return place(node, offset) if isinstance(node, Scalar) else node.start, path
