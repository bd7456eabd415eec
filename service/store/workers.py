"""The workers that are at work, by their heartbeats, and the settings that each was started with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service import __version__
from service.domain.decision import Mode
from service.settings import Settings

FRESH = timedelta(seconds=30)  # how old a worker's last heartbeat may be


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of a worker that decisions depend on.

    ``limits`` are those of the whole service, by name (``reject_per_day``), None where there is none. ``studies``
    are those that the sweep is limited to.
    """

    version: str
    mode: Mode
    limits: Mapping[str, int | None] = field(default_factory=dict)
    studies: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as they are stored and as the API shows them."""
        return {
            "version": self.version,
            "mode": self.mode.value,
            "limits": dict(self.limits),
            "studies": list(self.studies),
        }


def settings_of(settings: Settings) -> WorkerSettings:
    """Return the part of the settings that a worker's decisions depend on."""
    limits = {
        "reject_per_day": settings.limit_reject_per_day,
        "request_return_per_day": settings.limit_request_return_per_day,
        "reward_per_day": settings.limit_reward_per_day,
    }
    return WorkerSettings(__version__, settings.mode, limits, settings.studies)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker. ``settings`` is None for a version that does not record them."""

    id: int
    since: datetime | None
    settings: WorkerSettings | None

    def as_dict(self) -> dict[str, Any]:
        """Return the worker as the API shows it."""
        return {"since": self.since, **(self.settings.as_dict() if self.settings else {})}


# Written by Procrastinate's connector, when it registers the worker. Rows of workers that are gone go with it.
RECORD = """
    WITH gone AS (
        DELETE FROM worker_settings s WHERE NOT EXISTS (SELECT FROM procrastinate_workers w WHERE w.id = s.worker_id)
    )
    INSERT INTO worker_settings (worker_id, settings) VALUES (%(worker_id)s, %(settings)s)
"""
_AT_WORK = sa.text("""
    SELECT w.id, s.since, s.settings
    FROM procrastinate_workers w LEFT JOIN worker_settings s ON s.worker_id = w.id
    WHERE w.last_heartbeat > clock_timestamp() - CAST(:fresh AS interval)
    ORDER BY w.id DESC
""")


async def workers_at_work(connection: AsyncConnection) -> tuple[Worker, ...]:
    """Return the workers with a fresh heartbeat, the one that started last first."""
    rows = await connection.execute(_AT_WORK, {"fresh": FRESH})
    return tuple(Worker(row.id, row.since, _settings(row.settings) if row.settings else None) for row in rows)


async def heartbeat_age(connection: AsyncConnection) -> timedelta | None:
    """Return the age of the newest heartbeat by the database's clock; None without a worker."""
    found: timedelta | None = await connection.scalar(
        sa.text("SELECT clock_timestamp() - max(last_heartbeat) FROM procrastinate_workers")
    )
    return found


def newest_settings(workers: Iterable[Worker]) -> WorkerSettings | None:
    """Return the settings of the worker that started last: during a rolling change, those that will remain."""
    return next((worker.settings for worker in workers if worker.settings), None)


def highest_mode(workers: Iterable[Worker]) -> Mode | None:
    """Return the mode in which most is applied: during a rolling change any worker may take a review."""
    order = list(Mode)
    modes = [worker.settings.mode for worker in workers if worker.settings]
    return max(modes, key=order.index, default=None)


def _settings(stored: Mapping[str, Any]) -> WorkerSettings:
    return WorkerSettings(
        version=stored["version"],
        mode=Mode(stored["mode"]),
        limits=stored.get("limits") or {},
        studies=tuple(stored.get("studies") or ()),
    )
