"""The settings and rules of the service at work, for commands and other replicas."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.rulebook.startup import book_of
from service.rules import RuleBook, load
from service.settings import Settings
from service.store.rulebooks import last_good_book
from service.store.workers import Worker, WorkerSettings, newest_settings, settings_of, workers_at_work


@dataclass(frozen=True, slots=True)
class AtWork:
    """The settings and rules of the ``workers``, or of the caller's environment if no worker is at work."""

    workers: tuple[Worker, ...]
    settings: WorkerSettings
    book: RuleBook

    @property
    def modes(self) -> list[str]:
        """Return the modes of the workers, each once. There are several during a rolling change."""
        return sorted({worker.settings.mode.value for worker in self.workers if worker.settings})

    @property
    def origin(self) -> str:
        """Return a short description of where settings and rules come from."""
        if not self.workers:
            return "no service is at work: mode and rules of this shell"
        if len(self.modes) > 1:
            return f"the newest worker's; at work are {' and '.join(self.modes)}: a change is under way"
        return "of the service at work" if self.modes else "of this shell: the worker is of an older version"

    def as_dict(self) -> dict[str, Any]:
        """Return the workers as commands print them."""
        return {"at_work": bool(self.workers), "workers": [worker.as_dict() for worker in self.workers]}


async def at_work(connection: AsyncConnection, own: Settings) -> AtWork:
    """Return the settings of the newest worker and the rules that were loaded last, else those of ``own``.

    Raise InvalidRules if the own rules are needed and have errors.
    """
    workers = await workers_at_work(connection)
    settings = newest_settings(workers)
    kept = await last_good_book(connection) if workers else None
    book = book_of(kept) if kept else None
    return AtWork(workers, settings or settings_of(own), book or load(own.rules_dir))
