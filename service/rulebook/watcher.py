"""Watch the rules folder: valid rules come into force without a restart, are saved, and reviewed with."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.domain.decision import Mode, Trigger
from service.postgres.database import Database
from service.postgres.migrate import head
from service.rulebook.current import RulesInForce
from service.rules import Code, Finding, InvalidRules, RuleBook, RuleFile, load
from service.rules.files import NotAllowed, is_lookalike, read_rules
from service.store.queue import enqueue_reviews
from service.store.rulebooks import RulesVersion, decided_under_other_rules, save_book
from service.telemetry.metrics import Metrics

# Seconds after new rules, when submissions are looked up again: until every process has the new rules, one with the
# old rules may run a review.
REPEAT_AFTER = (60.0, 300.0, 900.0)

log = structlog.get_logger(__name__)

Fingerprint = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class RuleWatcher:
    """Reads the rules folder at intervals of ``every``. Errors in it are logged, and the last valid rules stay in force.

    ``reviews_again`` is True in a process with a worker, where new rules start reviews of held and observed
    submissions. ``on_rules`` is called with the rules at the start and after each change.
    """

    rules: RulesInForce
    database: Database
    mode: Mode
    metrics: Metrics
    reviews_again: bool
    every: float  # seconds
    on_rules: Callable[[RuleBook], None] = lambda _: None
    timer: Callable[[], float] = time.monotonic
    kept: bool = False  # True once the rules in force are saved, and their reviews enqueued
    _before: Fingerprint | None = None
    _loaded: Fingerprint | None = None
    _due: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Run until cancelled."""
        self._measure()
        log_warnings(self.rules.book)
        self.on_rules(self.rules.book)
        if self.rules.errors:
            _log_errors(self.rules)
        while True:
            try:
                await self._look()
                await self._keep()
            except SQLAlchemyError as error:
                log.debug("rules.not_kept_yet", why=str(error))  # readyz reports the database
            except Exception:
                log.exception("rules.not_looked_after")
            await asyncio.sleep(self.every)

    async def _look(self) -> None:
        """Load a change once two reads found it the same: an editor may write in several steps."""
        if self.rules.folder is None:
            return
        found = await asyncio.to_thread(fingerprint, self.rules.folder)
        settled, self._before = found == self._before, found
        if settled and found != self._loaded:
            loaded = await asyncio.to_thread(try_load, self.rules.folder)
            # Changed since it was found, this book may not be what was found: taken for it, it would stay in force.
            if await asyncio.to_thread(fingerprint, self.rules.folder) == found:
                self._loaded = found
                self._take(loaded)

    def _take(self, loaded: RuleBook | tuple[Finding, ...]) -> None:
        rules = self.rules
        if isinstance(loaded, tuple):
            # The same errors are logged once, not after each read.
            news, rules.errors = loaded != rules.errors, loaded
            if news:
                _log_errors(rules)
        else:
            if rules.errors:
                log.info("rules.mended", files=hashes(loaded))
            rules.errors = ()
            before = rules.book
            is_new = hashes(loaded) != hashes(before)
            warns_anew = (loaded.warnings, loaded.allowed) != (before.warnings, before.allowed)
            # A review in progress fetches its submission again if the book is another object.
            if is_new or warns_anew:
                rules.book = loaded
            if is_new:
                rules.loaded_at, self.kept = datetime.now(UTC), False
                log.info("rules.loaded", files=hashes(loaded))
                self.on_rules(loaded)
            if warns_anew:
                log_warnings(loaded)
        self._measure()

    def _measure(self) -> None:
        self.metrics.rules_loaded.set(len(self.rules.book.files))
        self.metrics.rules_broken.set(bool(self.rules.errors))

    async def _keep(self) -> None:
        """Save the book and enqueue its reviews. Repeated until the database accepts it."""
        book, now = self.rules.book, self.timer()
        if self.kept and not (self._due and now >= self._due[0]):
            return
        # The tables may be missing until the migration has run.
        if not (await self.database.schema()).works_for(head()):
            return
        async with self.database.begin() as connection:
            await save_book(connection, contents(book), hashes(book))
            if self.reviews_again:
                waiting = await decided_under_other_rules(
                    connection, partial(version_in_force, book, self.mode)
                )
                await enqueue_reviews(connection, waiting, Trigger.RULES)
                if waiting:
                    log.info("rules.review_again", submissions=len(waiting))
        if self.kept:
            del self._due[0]
        else:
            self.kept, self._due = True, [now + later for later in REPEAT_AFTER]
            log.info("rules.kept", files=hashes(book))


def fingerprint(path: Path) -> Fingerprint:
    """Return a value that changes with any rule file. It uses the content, since file times may miss an edit."""
    folder = path if path.is_dir() else None
    try:
        files = sorted(path.glob("*.yaml")) if folder else [path]
        # A file that is not read for its name is a warning, when it comes and when it is renamed.
        ignored = sorted(file.name for file in path.iterdir() if is_lookalike(file.name)) if folder else []
    except OSError as error:
        return ((str(path), f"{error.errno}"),)
    return (*((file.name, _content_hash(file, folder)) for file in files), *((name, "") for name in ignored))


def _content_hash(file: Path, folder: Path | None) -> str:
    try:
        return sha256(read_rules(file, folder)).hexdigest()
    except NotAllowed as error:
        return str(error)
    except OSError as error:
        return f"{error.errno}"


def try_load(path: Path) -> RuleBook | tuple[Finding, ...]:
    """Return the book, or its findings. Never raise, so that the caller's rules stay in force."""
    try:
        return load(path)
    except InvalidRules as error:
        return tuple(error.findings)
    except Exception as error:
        log.exception("rules.loading_crashed")
        why = f"loading it failed: {type(error).__name__}: {error}"
        return (Finding(str(path), 1, 1, Code.UNREADABLE.value, "", why),)


def hashes(book: RuleBook) -> dict[str, str]:
    return {file.path: file.hash for file in book.files}


def contents(book: RuleBook) -> dict[str, bytes]:
    """Return each file's bytes, as they were hashed."""
    return {file.path: _content(file) for file in book.files}


def _content(file: RuleFile) -> bytes:
    text = file.source_text.encode()
    marked = b"\xef\xbb\xbf" + text  # the text does not contain the file's byte order mark
    return text if sha256(text).hexdigest() == file.hash else marked


def version_in_force(book: RuleBook, mode: Mode, study: str, parent: str | None) -> RulesVersion | None:
    """Return the rules hash and mode that would decide the study now, None if no file claims it."""
    file = book.file_for(study, parent)
    return RulesVersion(file.hash, mode.at_most(file.mode)) if file else None


def log_warnings(book: RuleBook) -> None:
    """Log policy findings, at the start and after each change. They don't stop decisions."""
    for finding in (*book.warnings, *book.allowed):
        log.warning("rules.policy", finding=str(finding), severity=finding.severity)


def _log_errors(rules: RulesInForce) -> None:
    log.error(
        "rules.broken",
        findings=[str(finding) for finding in rules.errors if finding.severity == "error"],
        in_force=hashes(rules.book),
        hint="the last valid rules stay in force until the errors are corrected",
    )
