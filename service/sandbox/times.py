"""Clocks, timers and how Prolific writes times. Simulated seconds pass ``time_scale`` times faster."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time in milliseconds, which each of Prolific's formats can contain."""
    return to_milliseconds(datetime.now(UTC))


def to_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def in_detail(moment: datetime | None) -> str | None:
    return None if moment is None else _iso(moment, "milliseconds")


def in_list(moment: datetime | None) -> str | None:
    return None if moment is None else _iso(moment, "microseconds")


def _iso(moment: datetime, precision: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def seeded(seed: int | None) -> Random:
    return Random(seed)  # noqa: S311 - the same seed gives the same study again; nothing secret hangs on it


class Timers:
    """Runs things later, in simulated seconds, as long as the event loop lives."""

    def __init__(self, time_scale: float = 1.0) -> None:
        self.time_scale = time_scale
        self._handles = set[asyncio.TimerHandle]()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        def fire() -> None:
            self._handles.discard(handle)
            act()

        handle = asyncio.get_running_loop().call_later(seconds / self.time_scale, fire)
        self._handles.add(handle)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.time_scale)

    def cancel(self) -> None:
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
