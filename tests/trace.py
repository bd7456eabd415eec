"""Which functions of the service run, in order."""

import asyncio
import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import service

ROOT = f"{Path(service.__file__).parent}/"
STAND_IN = f"{ROOT}sandbox/"  # runs in the same process in tests, and is no part of the service
# Tasks of periodic runs, which a busy machine fits into any trace.
PERIODIC = {"_after_migration", "run_every", "RuleWatcher.run", "Connections.watch"}
RESUMABLE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


@dataclass(slots=True)
class Trace:
    """The calls of functions below ``service/``, those of the sandbox and of periodic runs excepted."""

    calls: list[tuple[str, str]] = field(default_factory=list)  # file and function
    # A coroutine's frame is seen again at each resumption. Kept alive, so that no other frame gets its identity.
    _resumable: set[FrameType] = field(default_factory=set)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(ROOT) or file.startswith(STAND_IN):
            return
        if frame.f_code.co_flags & RESUMABLE:
            if frame in self._resumable:
                return
            self._resumable.add(frame)
        if _is_periodic(asyncio.current_task()):
            return
        self.calls.append((file.removeprefix(ROOT), frame.f_code.co_qualname))

    @property
    def files(self) -> Counter[str]:
        """The number of calls in each file."""
        return Counter(file for file, _ in self.calls)

    @property
    def moves(self) -> int:
        """How often a call is in another file than the call before."""
        return sum(before != after for (before, _), (after, _) in pairwise(self.calls))


def _is_periodic(task: asyncio.Task[Any] | None) -> bool:
    coroutine = task.get_coro() if task else None
    return getattr(coroutine, "__qualname__", None) in PERIODIC


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace the calls in this thread."""
    trace = Trace()
    sys.setprofile(trace)
    try:
        yield trace
    finally:
        sys.setprofile(None)
