"""The rules that decide now, and since when."""

from dataclasses import dataclass
from datetime import datetime

from service.rules import Finding, RuleBook


@dataclass(slots=True)
class RulesInForce:
    """The one place that holds the rule book in use; called, it gives it."""

    book: RuleBook
    loaded_at: datetime
    errors: tuple[Finding, ...] = ()

    def __call__(self) -> RuleBook:
        return self.book
