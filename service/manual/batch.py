"""Many manual decisions at once, each in a transaction of its own, so that one refusal does not undo the others."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from service.manual.actions import InvalidAction
from service.manual.decide import AlreadyDecided, ManualDecision, NeverHeardOf, resolve
from service.manual.sheet import Row
from service.postgres.database import Database, database_now


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a row: the decision's id (None in a dry run), or why it was refused."""

    row: Row
    decision_id: int | None = None
    refusal: AlreadyDecided | InvalidAction | NeverHeardOf | None = None

    def as_dict(self) -> dict[str, Any]:
        refused = {"error": self.refusal.code, "message": str(self.refusal)} if self.refusal else {}
        return {
            "submission_id": self.row.submission_id,
            "action": self.row.action.outcome.value,
            "decision_id": self.decision_id,
            **refused,
        }


async def resolve_all(
    database: Database, rows: Iterable[Row], *, by: str, dry_run: bool
) -> AsyncIterator[Result]:
    """Decide each row. A dry run does the same in a transaction that it rolls back."""
    for row in rows:
        yield await _resolve_one(database, row, by, dry_run=dry_run)


async def _resolve_one(database: Database, row: Row, by: str, *, dry_run: bool) -> Result:
    async with database.connect() as connection:
        now = await database_now(connection)
        try:
            wanted = ManualDecision(row.submission_id, row.action, by, row.note, now)
            recorded = await resolve(connection, wanted)
        except (AlreadyDecided, InvalidAction, NeverHeardOf) as refusal:
            await connection.rollback()
            return Result(row, refusal=refusal)
        # The rollback also undoes the enqueued review.
        if dry_run:
            await connection.rollback()
            return Result(row)
        await connection.commit()
        return Result(row, recorded.id)


def counts(results: Iterable[Result]) -> dict[str, dict[str, int]]:
    """Count the ``decided`` rows by action, and the ``refused`` ones by the error's code."""
    decided: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for result in results:
        if result.refusal:
            refused[result.refusal.code] += 1
        else:
            decided[result.row.action.outcome.value] += 1
    return {"decided": dict(decided), "refused": dict(refused)}
