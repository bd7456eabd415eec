"""What a rule does when it decides: an action whose texts wait for their facts."""

from dataclasses import dataclass, replace
from typing import assert_never

from service.domain.decision import (
    MESSAGE_LENGTH,
    Action,
    Approve,
    Complete,
    Hold,
    Outcome,
    Reject,
    RequestReturn,
)
from service.rules import sentences
from service.rules.facts import FactSheet
from service.rules.templates import Template


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """``action`` with its texts still unfilled, and ``texts``, the templates of these in order."""

    action: Action
    texts: tuple[Template, ...] = ()

    @classmethod
    def of(cls, action: Action) -> "PlannedAction":
        """Raises TemplateError."""
        match action:
            case Approve():
                texts: tuple[str, ...] = ()
            case Reject(message=message):
                texts = (message,)
            case RequestReturn(reasons=reasons):
                texts = reasons
            case Complete(message_to_participant=message):
                texts = () if message is None else (message,)
            case Hold(reason=reason):
                texts = (reason,)
            case _:
                assert_never(action)
        return cls(action, tuple(Template.parse(text) for text in texts))

    @property
    def outcome(self) -> Outcome:
        return self.action.outcome

    def missing(self, sheet: FactSheet) -> tuple[str, ...]:
        facts = tuple(dict.fromkeys(fact for text in self.texts for fact in text.facts))
        return sheet.missing(facts)

    def filled(self, sheet: FactSheet) -> Action:
        texts = tuple(text.fill(sheet.values) for text in self.texts)
        match self.action:
            case Approve():
                return self.action
            case Reject():
                return replace(self.action, message=texts[0])
            case RequestReturn():
                return replace(self.action, reasons=texts)
            case Complete():
                return replace(self.action, message_to_participant=texts[0]) if texts else self.action
            case Hold():
                return replace(self.action, reason=texts[0]) if texts else self.action
            case _:
                assert_never(self.action)


def text_problem(action: Action, rule: str | None) -> str | None:
    """Why Prolific would refuse the filled texts."""
    match action:
        case Reject(message=message) if len(message) < MESSAGE_LENGTH:
            return sentences.text_too_short(rule, len(message), MESSAGE_LENGTH)
        case RequestReturn(reasons=texts) if not all(texts):
            return sentences.text_empty(rule)
        case Complete(message_to_participant="") | Hold(reason=""):
            return sentences.text_empty(rule)
        case _:
            return None
