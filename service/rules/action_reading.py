"""Reads a rule's action: approve, reject, request_return, complete or hold."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.decision import (
    MESSAGE_LENGTH,
    REJECTION_CATEGORIES,
    Approve,
    Complete,
    Hold,
    Outcome,
    Reject,
    RequestReturn,
)
from service.rules.actions import PlannedAction
from service.rules.format.document import Mapping, Node, Scalar
from service.rules.format.findings import Code
from service.rules.lint.hints import unknown_fact
from service.rules.reading import Entries, Reader, join, nodes
from service.rules.templates import Template, TemplateError

ACTIONS = tuple(outcome.value for outcome in Outcome)
PERCENTAGES = (8, 99)  # of the reward, Prolific's bounds


@dataclass(frozen=True, slots=True)
class ActionReader:
    """``facts`` are those a text may name."""

    reader: Reader
    facts: Iterable[str]

    def read(self, rule: Entries, at: Node, path: str) -> PlannedAction | None:
        """The one action among a rule's keys."""
        named = [key for key in rule if key in ACTIONS]
        if len(named) != 1:
            said = (
                f"has {' and '.join(named)}: one action a rule"
                if named
                else f"has no action: {', '.join(ACTIONS)}"
            )
            self.reader.findings.add(Code.ACTION_COUNT, rule[named[1]].key if named else at.start, path, said)
        plans = [self._action(Outcome(key), rule[key].node, join(path, key)) for key in named]
        return plans[0] if len(plans) == 1 else None

    def _action(self, outcome: Outcome, node: Node, path: str) -> PlannedAction | None:
        match outcome:
            case Outcome.APPROVE:
                return self._approve(node, path)
            case Outcome.REJECT:
                return self._reject(node, path)
            case Outcome.REQUEST_RETURN:
                return self._request_return(node, path)
            case Outcome.COMPLETE:
                return self._complete(node, path)
            case Outcome.HOLD:
                text = self._template(node, path)
                return PlannedAction(Hold(_raw(node)), (text,)) if text else None

    def _approve(self, node: Node, path: str) -> PlannedAction | None:
        if isinstance(node, Scalar) and node.is_null:
            return PlannedAction(Approve())
        return PlannedAction(Approve()) if self.reader.fields(node, path, ()) == {} else None

    def _reject(self, node: Node, path: str) -> PlannedAction | None:
        found = self._fields(node, path, ("category", "message"), required=("category", "message"))
        category, message = None, None
        if "category" in found:
            category = self.reader.choice(found["category"], join(path, "category"), REJECTION_CATEGORIES)
        if "message" in found:
            message = self._rejection_message(found["message"], join(path, "message"))
        if category is None or message is None:
            return None
        return PlannedAction(Reject(category, _raw(found["message"])), (message,))

    def _rejection_message(self, node: Node, path: str) -> Template | None:
        template = self._template(node, path)
        length = len(template.own_text) if template else MESSAGE_LENGTH
        if length < MESSAGE_LENGTH:
            message = f"Prolific wants {MESSAGE_LENGTH} characters or more; without what is filled in these are {length}"
            self.reader.findings.add(Code.MESSAGE_TOO_SHORT, node.start, path, message)
        return template

    def _request_return(self, node: Node, path: str) -> PlannedAction | None:
        found = self._fields(node, path, ("reasons",), required=("reasons",))
        if "reasons" not in found:
            return None
        listed = join(path, "reasons")
        items = self.reader.items(found["reasons"], listed, "texts") or []
        texts = [self._template(item, f"{listed}[{index}]") for index, item in enumerate(items)]
        templates = tuple(text for text in texts if text)
        if not items or len(templates) < len(items):
            return None
        return PlannedAction(RequestReturn(tuple(_raw(item) for item in items)), templates)

    def _complete(self, node: Node, path: str) -> PlannedAction | None:
        known = ("code_type", "code", "percentage_of_reward", "message_to_participant")
        found = self._fields(node, path, known)
        codes = {
            key: self.reader.text(found[key], join(path, key))
            for key in ("code_type", "code")
            if key in found
        }
        if isinstance(node, Mapping) and len(codes) != 1:
            message = "needs code_type or code" if not codes else "has both code_type and code: one of them"
            self.reader.findings.add(
                Code.MISSING_KEY if not codes else Code.BAD_VALUE, node.start, path, message
            )
        percentage = None
        texts: tuple[Template, ...] = ()
        if share := found.get("percentage_of_reward"):
            percentage = self.reader.number(share, join(path, "percentage_of_reward"), *PERCENTAGES)
        message_node = found.get("message_to_participant")
        if message_node is not None:
            template = self._template(message_node, join(path, "message_to_participant"))
            texts = (template,) if template else ()
        raw = _raw(message_node) if message_node is not None else None
        return PlannedAction(
            Complete(**codes, percentage_of_reward=percentage, message_to_participant=raw), texts
        )

    def _fields(
        self, node: Node, path: str, known: Iterable[str], required: Iterable[str] = ()
    ) -> dict[str, Node]:
        return nodes(self.reader.fields(node, path, known, required) or {})

    def _template(self, node: Node, path: str) -> Template | None:
        text = self.reader.text(node, path)
        if text is None:
            return None
        try:
            template = Template.parse(text)
        except TemplateError:
            message = "a brace stands alone: `{fact}` fills in a fact, `{{` and `}}` are braces themselves"
            self.reader.findings.add(Code.TEMPLATE, node.start, path, message)
            return None
        for fact in template.facts:
            self._check_placeholder(fact, node, path)
        return template

    def _check_placeholder(self, fact: str, node: Node, path: str) -> None:
        if fact not in self.facts:
            message = f"{{{fact}}}: {unknown_fact(fact, self.facts)}"
            self.reader.findings.add(Code.TEMPLATE, node.start, path, message)


def _raw(node: Node) -> str:
    return node.value if isinstance(node, Scalar) else ""
