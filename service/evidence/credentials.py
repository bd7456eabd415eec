"""Sources of evidence that are declared, and cannot deliver because their credential is not set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog

from service.rules import RuleBook, RuleFile, Source
from service.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MissingCredential:
    """A source without its credential. ``variable`` is the setting that it needs."""

    file: str
    source: str
    variable: str

    def __str__(self) -> str:
        return f"source {self.source} of {self.file} needs {self.variable}, or {self.variable}_FILE"


def missing_credentials(
    files: Iterable[RuleFile], settings: Settings, *, pushed: bool = True, asked: bool = True
) -> Iterator[MissingCredential]:
    """Yield each source whose credential is not set; of those that push (the web's) or are asked (the worker's)."""
    for file in files:
        for source in file.evidence.values():
            wanted = asked if source.is_asked else pushed
            variable = _variable(source, settings) if wanted else None
            if variable:
                yield MissingCredential(file.path, source.name, variable)


def warn_of_missing(settings: Settings, book: RuleBook, *, pushed: bool, asked: bool) -> None:
    """Log each source whose credential is not set: submissions would wait for its evidence, and then be held."""
    for missing in missing_credentials(book.files, settings, pushed=pushed, asked=asked):
        log.warning("evidence.no_credential", source=missing.source, file=missing.file, set=missing.variable)


def _variable(source: Source, settings: Settings) -> str | None:
    """Return the variable that is not set and has to be, None if nothing is missing.

    The token of an ``http`` source may be left out. A source that only browsers send to is verified by Prolific's link.
    """
    own = settings.source_secret(source.name)
    needs_own = source.signature is not None or source.origin == "sql"
    if needs_own:
        return None if own else f"AUTOREVIEW_SOURCE_{source.name.upper()}"
    needs_token = source.origin == "push" and not source.cors
    return "AUTOREVIEW_EVIDENCE_TOKEN" if needs_token and settings.secret("EVIDENCE_TOKEN") is None else None
