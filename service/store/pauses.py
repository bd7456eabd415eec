"""Pauses and circuit breakers: they hold decisions of a study or the whole service.

Rows are only added. The newest rows are in force, for all replicas and after every restart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain import moment
from service.domain.decision import Guard
from service.store.tables import brakes, decisions


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of a study, or of the whole service if ``study`` is None."""

    study: str | None
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker that opened when a limit, the ``guard``, was reached. ``study`` is None for the service's."""

    id: int
    study: str | None
    guard: Guard
    at: datetime
    reason: str
    decision_id: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the breaker as the API shows it."""
        return {
            "study": self.study,
            "limit": self.guard.value,
            "since": self.at,
            "reason": self.reason,
            "decision_id": self.decision_id,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """The pause and breakers in force for a study, or for the service if ``study`` is None.

    ``windows``: for each breaker that was closed, the decision after which its limit counts again.
    ``resumed_at``: when its last pause ended.
    """

    study: str | None
    pause: Pause | None = None
    breakers: tuple[Breaker, ...] = ()
    windows: Mapping[Guard, int] = field(default_factory=dict)
    resumed_at: datetime | None = None

    def breaker(self, guard: Guard) -> Breaker | None:
        return next((breaker for breaker in self.breakers if breaker.guard is guard), None)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the pause and the breakers as the API shows them; ``study`` is None for the whole service."""
        found: list[dict[str, Any]] = []
        if pause := self.pause:
            found.append(
                {
                    "study": self.study,
                    "kind": "pause",
                    "since": pause.at,
                    "by": pause.by,
                    "reason": pause.reason,
                }
            )
        return found + [breaker.as_dict() | {"kind": "breaker"} for breaker in self.breakers]


async def scopes(connection: AsyncConnection) -> dict[str | None, Scope]:
    """Return the scopes of all that ever had a pause or breaker, by study."""
    rows = await connection.execute(sa.select(brakes).order_by(brakes.c.id))
    return _scopes(rows.mappings())


async def scopes_of(connection: AsyncConnection, study: str | None) -> tuple[Scope, Scope]:
    """Return the study's scope and the service's."""
    rows = await connection.execute(
        sa.select(brakes)
        .where(sa.or_(brakes.c.study_id == study, brakes.c.study_id.is_(None)))
        .order_by(brakes.c.id)
    )
    return scopes_from(rows.mappings(), study)


def scopes_from(rows: Iterable[Any], study: str | None) -> tuple[Scope, Scope]:
    """Build the study's scope and the service's from their rows, oldest first."""
    found = _scopes(rows)
    return found.get(study) or Scope(study), found.get(None) or Scope(None)


async def add_pause(connection: AsyncConnection, study: str | None, by: str, reason: str) -> None:
    """Pause automatic decisions for a study, or for the whole service if None. Takes effect at commit."""
    await _add(connection, study_id=study, kind="pause", by=by, reason=reason)


async def add_resume(connection: AsyncConnection, study: str | None, by: str, reason: str) -> None:
    """End the pause and close the breakers, whose limits then count from zero. Requires the study's lock."""
    # Ids and not times: decisions of one transaction share its time.
    newest = await connection.scalar(sa.select(sa.func.max(decisions.c.id)))
    await _add(connection, study_id=study, kind="resume", by=by, reason=reason, decision_id=newest)


async def open_breaker(
    connection: AsyncConnection, study: str | None, guard: Guard, reason: str, decision: int
) -> None:
    """Open the breaker of a limit: what it limits is held until a named person resumes. Requires the study's lock."""
    await _add(
        connection, study_id=study, kind="open", guard=guard.value, reason=reason, decision_id=decision
    )


async def _add(connection: AsyncConnection, **row: Any) -> None:
    await connection.execute(sa.insert(brakes).values(row))


def _scopes(rows: Iterable[Any]) -> dict[str | None, Scope]:
    """Derive each scope from its rows. A resume ends everything before it."""
    found: dict[str | None, Scope] = {}
    for row in rows:
        study, at = row["study_id"], moment.from_row(row["at"])
        scope = found.get(study) or Scope(study)
        match row["kind"]:
            case "pause":
                pause = Pause(study, at, row["by"] or "", row["reason"])
                found[study] = replace(scope, pause=pause)
            case "resume":
                # Only a limit that opened its breaker counts from zero: the end of a pause must not allow more rejections.
                closed = {breaker.guard: row["decision_id"] or 0 for breaker in scope.breakers}
                ended = at if scope.pause else scope.resumed_at
                found[study] = Scope(study, windows={**scope.windows, **closed}, resumed_at=ended)
            case _:
                breaker = Breaker(
                    row["id"], study, Guard(row["guard"]), at, row["reason"], row["decision_id"]
                )
                found[study] = replace(scope, breakers=(*scope.breakers, breaker))
    return found
