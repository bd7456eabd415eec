"""The rules in force, and since when."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.rules import Finding, RuleBook


@dataclass(slots=True)
class RulesInForce:
    """Holds the rule book in use. Calling it returns the book.

    ``errors`` are the errors of the files in ``folder``, which keep the last valid rules in force. A ``folder`` of
    None is not watched.
    """

    book: RuleBook
    loaded_at: datetime
    errors: tuple[Finding, ...] = ()
    folder: Path | None = None

    def __call__(self) -> RuleBook:
        return self.book
