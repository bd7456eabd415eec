"""The audit trail: decisions, attempts at applying them, and their answers. Rows are only added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.store.tables import answers, attempts, decision_states, decisions

LONGEST_CALL = timedelta(minutes=1)

# Names of the advisory locks.
SERVICE = "autoreview:decisions"
SUBMISSION = "autoreview:submission"


# A decision's status, which triggers keep: what its newest attempt came to, else what its kind implies.
STATUS: sa.ColumnElement[str] = (
    sa.select(decision_states.c.status)
    .where(decision_states.c.decision_id == decisions.c.id)
    .correlate(decisions)
    .scalar_subquery()
)

# The same of a decision ``d``, for statements written as text.
STATUS_OF = "(SELECT status FROM decision_states WHERE decision_id = d.id)"

# Of an attempt ``a`` with its answer ``n``: that something was sent and no answer shows that it was refused.
# A 2xx or 3xx is unclear too unless it was recorded as applied: what came back was not what was wanted.
UNCLEAR = """a.request ->> 'endpoint' IN ('transition', 'request-return')
    AND (n.attempt_id IS NULL OR n.status_code IS NULL OR n.status_code >= 500 OR n.status_code < 400)
    AND coalesce(n.answer -> 'sent' <> 'false', true)"""

# Of a decision ``d``: that it is the newest of its submission.
IS_NEWEST = "d.id = (SELECT max(x.id) FROM decisions x WHERE x.submission_id = d.submission_id)"


def newest_decision(submission: str) -> str:
    """Return the SQL subquery for the newest decision of a submission; ``submission`` is its id in SQL."""
    return f"(SELECT * FROM decisions WHERE submission_id = {submission} ORDER BY id DESC LIMIT 1)"  # noqa: S608


DONE = f"('{DecisionStatus.APPLIED}', '{DecisionStatus.ALREADY}')"

# A decision ``h`` that goes on with a hold for a person. A person's own hold counts in any mode, the rules' hold only
# where the service applies decisions. An expired hold whose approval was not applied (a pause, a refusal) goes on:
# the participant waits as before. Once the approval was applied, a later hold is a new one.
_HOLD_GOES_ON = f"""(
    h.outcome = '{Outcome.HOLD}' AND h.guard IS DISTINCT FROM '{Guard.WAITING}'
        AND (h.mode <> '{Mode.OBSERVE}' OR h.trigger = '{Trigger.PERSON}')
    OR h.guard IS NOT DISTINCT FROM '{Guard.HOLD_EXPIRED}'
        AND (SELECT status FROM decision_states WHERE decision_id = h.id) NOT IN {DONE})"""  # noqa: S608 - nothing of it comes from outside


def held_since(submission: str) -> str:
    """Return the SQL expression for when the hold of a submission began; ``submission`` is its id in SQL.

    The time is that of the first decision of the newest run of holds. It is null without a hold.
    """
    return f"""(
        SELECT min(h.decided_at) FROM decisions h
        WHERE h.submission_id = {submission} AND {_HOLD_GOES_ON}
          AND h.id > coalesce((SELECT max(h.id) FROM decisions h
                               WHERE h.submission_id = {submission} AND NOT {_HOLD_GOES_ON}), 0))"""  # noqa: S608


def _may_have_arrived() -> sa.ColumnElement[bool]:
    """Whether something of a decision was sent and no answer tells that it was refused."""
    unclear = sa.or_(
        answers.c.attempt_id.is_(None),
        answers.c.status_code.is_(None),
        answers.c.status_code >= 500,
        answers.c.status_code < 400,  # taken, or redirected, and what came back is not what was wanted
    )
    unclear = sa.and_(unclear, sa.func.coalesce(answers.c.answer["sent"] != sa.literal(False, JSONB), True))
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


_RECORD = sa.text("""
    WITH decision AS (
        INSERT INTO decisions (
            submission_id, study_id, participant_id, decided_at, trigger, outcome, proposed, guard, rule, rule_file,
            rules_hash, mode, action, tag, "by", note, reason, trace, facts, recheck_at)
        SELECT submission_id, study_id, participant_id, decided_at, trigger, outcome, proposed, guard, rule, rule_file,
               rules_hash, mode, action, tag, "by", note, reason, trace, facts, recheck_at
        FROM jsonb_to_record(CAST(:decision AS jsonb)) AS new (
            submission_id text, study_id text, participant_id text, decided_at timestamptz, trigger text, outcome text,
            proposed text, guard text, rule text, rule_file text, rules_hash text, mode text, action jsonb, tag text,
            "by" text, note text, reason text, trace jsonb, facts jsonb, recheck_at timestamptz)
        RETURNING id, action
    ), attempt AS (
        INSERT INTO attempts (decision_id, request) SELECT id, action FROM decision WHERE :send RETURNING id
    )
    SELECT decision.id, attempt.id FROM decision LEFT JOIN attempt ON true
""")


_COLUMNS = tuple(field.name for field in fields(Decision))


async def record(connection: AsyncConnection, decision: Decision) -> Recorded:
    """Add the decision; pending, held or observed until an attempt says more."""
    recorded, _ = await record_and_attempt(connection, decision, send=False)
    return recorded


async def record_and_attempt(
    connection: AsyncConnection, decision: Decision, *, send: bool
) -> tuple[Recorded, int | None]:
    """Add the decision and, to ``send`` its request at once, the attempt; return it with the attempt's id."""
    row_of = {name: getattr(decision, name) for name in _COLUMNS}
    found = await connection.execute(_RECORD, {"decision": json.dumps(row_of, default=_text), "send": send})
    row, attempt = found.one()
    return Recorded(row, decision, decision.first_status), attempt


async def newest(connection: AsyncConnection, submission: str) -> Recorded | None:
    """The submission's last decision."""
    rows = await connection.execute(
        sa.select(decisions, STATUS.label("status"))
        .where(decisions.c.submission_id == submission)
        .order_by(decisions.c.id.desc())
        .limit(1),
    )
    row = rows.mappings().one_or_none()
    return recorded_from(dict(row)) if row else None


async def add_attempt(connection: AsyncConnection, decision: int, request: Mapping[str, Any] | None) -> int:
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


async def is_being_sent(connection: AsyncConnection, decision: int) -> bool:
    """Whether a request of the decision was sent within the longest time a call may take, and has no answer yet."""
    found = await connection.scalar(
        sa.select(
            sa.exists()
            .select_from(attempts.outerjoin(answers))
            .where(
                attempts.c.decision_id == decision,
                answers.c.attempt_id.is_(None),
                attempts.c.at > sa.func.clock_timestamp() - LONGEST_CALL,
            )
        )
    )
    return bool(found)


_FAILED = sa.text(f"""
    SELECT d.submission_id FROM decision_states state JOIN decisions d ON d.id = state.decision_id
    WHERE state.status = '{DecisionStatus.FAILED}'
      AND (CAST(:submission AS text) IS NULL OR d.submission_id = :submission)
      AND {IS_NEWEST}
    ORDER BY d.id
""")  # noqa: S608 - nothing of it comes from outside


async def failed_submissions(connection: AsyncConnection, submission: str | None = None) -> list[str]:
    """Submissions whose newest decision failed, or this one if its did; the longest failed first."""
    return list(await connection.scalars(_FAILED, {"submission": submission}))


_LOCK = """
    SELECT {lock}(hashtextextended(:service, 0)), pg_advisory_xact_lock(hashtextextended(:study, 0)),
           pg_advisory_xact_lock(hashtextextended(:submission, 0))
"""
_LOCK_SHARED = sa.text(_LOCK.format(lock="pg_advisory_xact_lock_shared"))
_LOCK_ALONE = sa.text(_LOCK.format(lock="pg_advisory_xact_lock"))


async def lock_for_review(connection: AsyncConnection, study: str, submission: str, *, alone: bool) -> None:
    """Until the transaction ends nobody else decides: limits are exact, and one decision follows another.

    The service's lock comes before the study's, and that before the submission's, everywhere. The first is
    shared by studies unless the service has limits of its own (``alone``).
    """
    names = {"service": SERVICE, "study": f"{SERVICE}:{study}", "submission": f"{SUBMISSION}:{submission}"}
    await connection.execute(_LOCK_ALONE if alone else _LOCK_SHARED, names)


async def lock_submission(connection: AsyncConnection, submission: str) -> None:
    """Until the transaction ends nobody else decides this submission, whatever its study turns out to be."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(f"{SUBMISSION}:{submission}"))))


async def lock_study(connection: AsyncConnection, study: str) -> None:
    """Until the transaction ends nobody else records a decision of this study: limits are exact."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(f"{SERVICE}:{study}"))))


async def lock_service(connection: AsyncConnection) -> None:
    """Until the transaction ends nobody else records a decision, pauses or resumes."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(SERVICE))))


def _key(name: str) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(sa.literal(name), 0)


def recorded_from(row: Mapping[str, Any]) -> Recorded:
    """Read a decision's row, its times as they are or as JSON has them."""
    row = dict(row)
    found, status = row.pop("id"), DecisionStatus(row.pop("status"))
    again = row["recheck_at"]
    typed = {
        "trigger": Trigger(row["trigger"]),
        "outcome": Outcome(row["outcome"]),
        "proposed": Outcome(row["proposed"]),
        "guard": Guard(row["guard"]) if row["guard"] else None,
        "mode": Mode(row["mode"]),
        "trace": tuple(row["trace"]),
        "decided_at": _moment(row["decided_at"]),
        "recheck_at": _moment(again) if again else None,
    }
    return Recorded(found, Decision(**row | typed), status)


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _text(value: datetime) -> str:
    return value.isoformat()
