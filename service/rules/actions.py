"""The planned action of a rule: an action whose texts are templates."""

from dataclasses import dataclass, replace
from typing import assert_never

from service.domain.decision import (
    MESSAGE_LENGTH,
    Action,
    AlsoActions,
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
    """An action before its texts are filled in. ``texts`` are their templates, in order.

    ``also`` is what is done beside it, with ``message`` as the template of its text.
    """

    action: Action
    texts: tuple[Template, ...] = ()
    also: AlsoActions | None = None
    message: Template | None = None

    @classmethod
    def of(cls, action: Action, also: AlsoActions | None = None) -> "PlannedAction":
        """Return the plan of an action. Raise TemplateError."""
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
        beside = Template.parse(also.message) if also and also.message is not None else None
        return cls(action, tuple(Template.parse(text) for text in texts), also, beside)

    @property
    def facts(self) -> tuple[str, ...]:
        """Return the facts that its texts and its message name."""
        texts = (*self.texts, self.message) if self.message else self.texts
        return tuple(dict.fromkeys(fact for text in texts for fact in text.facts))

    @property
    def outcome(self) -> Outcome:
        return self.action.outcome

    def missing(self, sheet: FactSheet) -> tuple[str, ...]:
        return sheet.missing(self.facts)

    def filled_also(self, sheet: FactSheet) -> AlsoActions | None:
        """Return the requests beside the action, with the message filled in."""
        if self.also is None or self.message is None:
            return self.also
        return replace(self.also, message=self.message.fill(sheet.values))

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


def text_problem(action: Action, rule: str | None, also: AlsoActions | None = None) -> str | None:
    """Return why Prolific would refuse the filled texts, None if it would not."""
    if also and also.message == "":
        return sentences.text_empty(rule)
    match action:
        case Reject(message=message) if len(message) < MESSAGE_LENGTH:
            return sentences.text_too_short(rule, len(message), MESSAGE_LENGTH)
        case RequestReturn(reasons=texts) if not all(texts):
            return sentences.text_empty(rule)
        case Complete(message_to_participant="") | Hold(reason=""):
            return sentences.text_empty(rule)
        case _:
            return None
