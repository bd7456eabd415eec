"""The rules that decide now, and since when."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.rules import Finding, RuleBook


@dataclass(slots=True)
class RulesInForce:
    """The one place that holds the rule book in use; called, it gives it.

    ``errors`` are what keeps the files in ``folder`` from being in force: the last good ones are instead. A
    folder of None is not looked at again.
    """

    book: RuleBook
    loaded_at: datetime
    errors: tuple[Finding, ...] = ()
    folder: Path | None = None

    def __call__(self) -> RuleBook:
        return self.book
