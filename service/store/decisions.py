"""The audit trail: decisions, attempts at applying them, and their answers. Rows are only added."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.store.tables import answers, attempts, decisions


def _status() -> sa.ColumnElement[str]:
    """A decision's status: what its newest attempt came to, else what its kind says."""
    newest = (
        sa.select(sa.func.coalesce(answers.c.status, DecisionStatus.PENDING.value))
        .select_from(attempts.outerjoin(answers))
        .where(attempts.c.decision_id == decisions.c.id)
        .order_by(attempts.c.id.desc())
        .limit(1)
        .correlate(decisions)
        .scalar_subquery()
    )
    unattempted = sa.case(
        (
            sa.and_(decisions.c.mode == Mode.OBSERVE.value, decisions.c.trigger != Trigger.PERSON.value),
            DecisionStatus.OBSERVED.value,
        ),
        (decisions.c.outcome == Outcome.HOLD.value, DecisionStatus.HELD.value),
        else_=DecisionStatus.PENDING.value,
    )
    return sa.func.coalesce(newest, unattempted)


STATUS = _status()


def _may_have_arrived() -> sa.ColumnElement[bool]:
    """Whether something of a decision was sent and no answer tells that it was refused."""
    unclear = sa.or_(
        answers.c.attempt_id.is_(None),
        answers.c.status_code.is_(None),
        answers.c.status_code >= 500,
        answers.c.status_code < 400,  # taken, or redirected, and what came back is not what was wanted
    )
    asked = attempts.c.request["endpoint"].astext.in_(["transition", "request-return"])
    return (
        sa.select(attempts.c.id)
        .select_from(attempts.outerjoin(answers))
        .where(attempts.c.decision_id == decisions.c.id, asked, unclear)
        .correlate(decisions)
        .exists()
    )


MAY_HAVE_ARRIVED = _may_have_arrived()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision on disk, with how far it came."""

    id: int
    decision: Decision
    status: DecisionStatus


async def record(connection: AsyncConnection, decision: Decision) -> Recorded:
    """Add the decision; pending, held or observed until an attempt says more."""
    values = asdict(decision) | {"trace": list(decision.trace)}
    found = await connection.execute(sa.insert(decisions).values(values).returning(decisions.c.id))
    row = found.scalar_one()
    return Recorded(row, decision, await status_of(connection, row))


async def status_of(connection: AsyncConnection, decision: int) -> DecisionStatus:
    found = await connection.execute(sa.select(STATUS).where(decisions.c.id == decision))
    return DecisionStatus(found.scalar_one())


async def newest(connection: AsyncConnection, submission: str) -> Recorded | None:
    """The submission's last decision."""
    rows = await connection.execute(
        sa.select(decisions, STATUS.label("status"))
        .where(decisions.c.submission_id == submission)
        .order_by(decisions.c.id.desc())
        .limit(1),
    )
    row = rows.mappings().one_or_none()
    return _recorded(dict(row)) if row else None


async def add_attempt(connection: AsyncConnection, decision: int, request: dict[str, Any] | None) -> int:
    """The intent, on disk before Prolific is called."""
    found = await connection.execute(
        sa.insert(attempts).values(decision_id=decision, request=request).returning(attempts.c.id)
    )
    attempt: int = found.scalar_one()
    return attempt


async def add_answer(
    connection: AsyncConnection,
    attempt: int,
    status: DecisionStatus,
    status_code: int | None,
    answer: Any,
) -> None:
    """What came of an attempt; ``pending`` where it is to be tried again."""
    await connection.execute(
        sa.insert(answers).values(
            attempt_id=attempt, status=status.value, status_code=status_code, answer=answer
        )
    )


async def supersede(connection: AsyncConnection, last: Recorded, by: Recorded) -> None:
    """A decision that was never sent gives way to the one that later facts led to."""
    attempt = await add_attempt(connection, last.id, None)
    answer = {"message": f"Decision {by.id} took its place before it was sent."}
    await add_answer(connection, attempt, DecisionStatus.SUPERSEDED, None, answer)


async def may_have_arrived(connection: AsyncConnection, decision: int) -> bool:
    """Whether Prolific may have taken an attempt though no answer says so: a crash, a timeout, a 5xx, no JSON."""
    found = await connection.scalar(sa.select(MAY_HAVE_ARRIVED).where(decisions.c.id == decision))
    return bool(found)


async def was_decided(connection: AsyncConnection, submission: str) -> bool:
    """Whether approve, reject or complete was applied to the submission through this service."""
    done = [DecisionStatus.APPLIED.value, DecisionStatus.ALREADY.value]
    final = [Outcome.APPROVE.value, Outcome.REJECT.value, Outcome.COMPLETE.value]
    found = await connection.scalar(
        sa.select(sa.func.count())
        .select_from(decisions.join(attempts).join(answers))
        .where(decisions.c.submission_id == submission)
        .where(decisions.c.outcome.in_(final), answers.c.status.in_(done)),
    )
    return bool(found)


async def failed_submissions(connection: AsyncConnection, submission: str | None = None) -> list[str]:
    """Submissions whose newest decision failed, or this one if its did; the longest failed first."""
    failed = sa.select(decisions.c.submission_id).select_from(decisions.join(attempts).join(answers))
    failed = failed.where(answers.c.status == DecisionStatus.FAILED.value)
    if submission is not None:
        failed = failed.where(decisions.c.submission_id == submission)
    newest_of = (
        sa.select(decisions.c.submission_id, sa.func.max(decisions.c.id).label("id"))
        .where(decisions.c.submission_id.in_(failed))
        .group_by(decisions.c.submission_id)
        .subquery()
    )
    rows = await connection.scalars(
        sa.select(decisions.c.submission_id)
        .join(newest_of, newest_of.c.id == decisions.c.id)
        .where(STATUS.in_([DecisionStatus.FAILED.value]))
        .order_by(decisions.c.id)
    )
    return list(rows)


async def newest_return_request(connection: AsyncConnection, submission: str) -> Decision | None:
    """The last decision that asked the participant to return, if one was applied."""
    done = [DecisionStatus.APPLIED.value, DecisionStatus.ALREADY.value]
    rows = await connection.execute(
        sa.select(decisions, STATUS.label("status"))
        .where(decisions.c.submission_id == submission)
        .where(decisions.c.outcome == Outcome.REQUEST_RETURN.value, STATUS.in_(done))
        .order_by(decisions.c.id.desc())
        .limit(1),
    )
    row = rows.mappings().one_or_none()
    return _recorded(dict(row)).decision if row else None


async def lock_study(connection: AsyncConnection, study: str) -> None:
    """Until the transaction ends nobody else records a decision of this study: limits are exact."""
    key = sa.func.hashtextextended(f"autoreview:decisions:{study}", 0)
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


async def lock_service(connection: AsyncConnection, *, shared: bool = False) -> None:
    """Until the transaction ends nobody else records a decision that counts towards the service's limits.

    ``shared`` by those who have none: nobody pulls or lets go the service's brakes meanwhile.
    """
    key = sa.func.hashtextextended("autoreview:decisions", 0)
    lock = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
    await connection.execute(sa.select(lock(key)))


async def held_since(connection: AsyncConnection, submission: str) -> datetime | None:
    """Since when the submission has been held for a person without a break; None if it is not."""
    of_it = decisions.c.submission_id == submission
    held = sa.and_(
        decisions.c.outcome == Outcome.HOLD.value,
        decisions.c.mode != Mode.OBSERVE.value,
        decisions.c.guard.is_distinct_from(Guard.WAITING.value),
    )
    # One that ended and could not be sent goes on; after one that was sent nothing ends by itself (`reopened`).
    for_a_person = sa.or_(held, decisions.c.guard.is_not_distinct_from(Guard.HOLD_EXPIRED.value))
    before = sa.select(sa.func.max(decisions.c.id)).where(of_it, sa.not_(for_a_person)).scalar_subquery()
    found: datetime | None = await connection.scalar(
        sa.select(sa.func.min(decisions.c.decided_at)).where(
            of_it, for_a_person, decisions.c.id > sa.func.coalesce(before, 0)
        )
    )
    return found


def _recorded(row: dict[str, Any]) -> Recorded:
    found, status = row.pop("id"), DecisionStatus(row.pop("status"))
    typed = {
        "trigger": Trigger(row["trigger"]),
        "outcome": Outcome(row["outcome"]),
        "proposed": Outcome(row["proposed"]),
        "guard": Guard(row["guard"]) if row["guard"] else None,
        "mode": Mode(row["mode"]),
        "trace": tuple(row["trace"]),
    }
    return Recorded(found, Decision(**row | typed), status)
