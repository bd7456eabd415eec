"""What holds decisions back for a whole study or the whole service: pauses, and breakers that limits opened.

Rows are only added: the newest say what is so now, for all replicas, whatever restarts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Guard
from service.store.tables import brakes, decisions


@dataclass(frozen=True, slots=True)
class Pause:
    """``study`` is None for the whole service."""

    study: str | None
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """Open since a limit, the ``guard``, was reached. ``study`` is None where it is the service's limit."""

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
    """The brakes of a study, or (``study`` None) of the service.

    ``windows``: for each breaker that was closed, the decision after which its limit counts anew.
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
    """All that ever had a brake, by study."""
    rows = await connection.execute(sa.select(brakes).order_by(brakes.c.id))
    return _scopes(rows.mappings())


async def scopes_of(connection: AsyncConnection, study: str | None) -> tuple[Scope, Scope]:
    """The study's brakes and the service's."""
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
    """From the commit on nothing of the study (None: at all) is sent automatically."""
    await _add(connection, study_id=study, kind="pause", by=by, reason=reason)


async def add_resume(connection: AsyncConnection, study: str | None, by: str, reason: str) -> None:
    """End the pause and close the breakers, whose limits count anew. Only under the study's lock."""
    newest = await connection.scalar(sa.select(sa.func.max(decisions.c.id)))
    await _add(connection, study_id=study, kind="resume", by=by, reason=reason, decision_id=newest)


async def open_breaker(
    connection: AsyncConnection, study: str | None, guard: Guard, reason: str, decision: int
) -> None:
    """A limit was reached: what it limits is held until a named person resumes. Only under the study's lock."""
    await _add(
        connection, study_id=study, kind="open", guard=guard.value, reason=reason, decision_id=decision
    )


async def _add(connection: AsyncConnection, **row: Any) -> None:
    await connection.execute(sa.insert(brakes).values(row))


def _scopes(rows: Iterable[Any]) -> dict[str | None, Scope]:
    """From the history of each scope to what it comes to: a resume ends all that came before it."""
    found: dict[str | None, Scope] = {}
    for row in rows:
        study, at = row["study_id"], _moment(row["at"])
        scope = found.get(study) or Scope(study)
        match row["kind"]:
            case "pause":
                pause = Pause(study, at, row["by"] or "", row["reason"])
                found[study] = replace(scope, pause=pause)
            case "resume":
                # A pause that ends is no reason to allow more: only what reached its limit begins anew.
                closed = {breaker.guard: row["decision_id"] or 0 for breaker in scope.breakers}
                ended = at if scope.pause else scope.resumed_at
                found[study] = Scope(study, windows={**scope.windows, **closed}, resumed_at=ended)
            case _:
                breaker = Breaker(
                    row["id"], study, Guard(row["guard"]), at, row["reason"], row["decision_id"]
                )
                found[study] = replace(scope, breakers=(*scope.breakers, breaker))
    return found


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
