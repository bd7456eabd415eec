"""The audit trail: decisions, attempts to apply them, and their answers. Rows are only added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain import moment
from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.store.tables import answers, attempts, decision_states, decisions

LONGEST_CALL = timedelta(minutes=1)

# Names of the advisory locks.
SERVICE = "autoreview:decisions"
SUBMISSION = "autoreview:submission"


# A decision's status. Triggers keep it: the newest attempt's result, else what the outcome implies.
STATUS: sa.ColumnElement[str] = (
    sa.select(decision_states.c.status)
    .where(decision_states.c.decision_id == decisions.c.id)
    .correlate(decisions)
    .scalar_subquery()
)

# The status of a decision ``d``, for statements written as text.
STATUS_OF = "(SELECT status FROM decision_states WHERE decision_id = d.id)"

# Endpoints of requests beside a decision. They don't show the result of the transition.
BESIDE = "('add-to-group', 'remove-from-group', 'message')"

# Of an attempt ``a`` with its answer ``n``: a request was sent, and no answer shows that it was refused.
# A 2xx or 3xx that was not recorded as applied is unclear too: the answer did not show the wanted status.
UNCLEAR = """a.request ->> 'endpoint' IN ('transition', 'request-return')
    AND (n.attempt_id IS NULL OR n.status_code IS NULL OR n.status_code >= 500 OR n.status_code < 400)
    AND coalesce(n.answer -> 'sent' <> 'false', true)"""

# Of a decision ``d``: it is the newest of its submission.
IS_NEWEST = "d.id = (SELECT max(x.id) FROM decisions x WHERE x.submission_id = d.submission_id)"


def newest_decision(submission: str) -> str:
    """Return the SQL subquery for the newest decision of a submission; ``submission`` is its id in SQL."""
    return f"(SELECT * FROM decisions WHERE submission_id = {submission} ORDER BY id DESC LIMIT 1)"  # noqa: S608


def number_of_records(submission: str) -> str:
    """Return the SQL subquery that counts a submission's decisions and answers; ``submission`` is its id in SQL.

    Rows are only added, so an equal number at two times means that nothing was recorded between them.
    """
    return f"""(
        SELECT count(DISTINCT d.id) + count(n.attempt_id)
        FROM decisions d LEFT JOIN attempts a ON a.decision_id = d.id LEFT JOIN answers n ON n.attempt_id = a.id
        WHERE d.submission_id = {submission})"""  # noqa: S608 - nothing of it comes from outside


DONE = f"('{DecisionStatus.APPLIED}', '{DecisionStatus.ALREADY}')"

# Of a decision ``f``: a hold may begin with it. This is the condition of an index.
MAY_BEGIN_HOLD = f"(f.outcome = '{Outcome.HOLD}' OR f.guard = '{Guard.HOLD_EXPIRED}')"

# A decision ``h`` that continues a hold for manual review. A person's hold counts in any mode, the rules' hold only if
# the service applies decisions. An expired hold whose approval was not applied (a pause, a refusal) continues, since
# the participant still waits. After the approval was applied, a later hold is a new one.
_HOLD_GOES_ON = f"""(
    h.outcome = '{Outcome.HOLD}' AND h.guard IS DISTINCT FROM '{Guard.WAITING}'
        AND (h.mode <> '{Mode.OBSERVE}' OR h.trigger = '{Trigger.PERSON}')
    OR h.guard IS NOT DISTINCT FROM '{Guard.HOLD_EXPIRED}'
        AND (SELECT status FROM decision_states WHERE decision_id = h.id) NOT IN {DONE})"""  # noqa: S608 - nothing of it comes from outside


def held_since(submission: str) -> str:
    """Return the SQL expression for when the hold of a submission began; ``submission`` is its id in SQL.

    That is the time of the first decision in the newest run of holds, null without a hold.
    """
    return _of_hold(submission, "min(h.decided_at)")


def first_of_hold(submission: str) -> str:
    """Return the SQL expression for the id of the decision with which the hold of a submission began."""
    return _of_hold(submission, "(array_agg(h.id ORDER BY h.decided_at, h.id))[1]")


def _of_hold(submission: str, what: str) -> str:
    return f"""(
        SELECT {what} FROM decisions h
        WHERE h.submission_id = {submission} AND {_HOLD_GOES_ON}
          AND h.id > coalesce((SELECT max(h.id) FROM decisions h
                               WHERE h.submission_id = {submission} AND NOT {_HOLD_GOES_ON}), 0))"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision in the database, with its status."""

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
    ), also AS (
        INSERT INTO also_actions (decision_id, place, request)
        SELECT decision.id, place, request
        FROM decision, jsonb_array_elements(CAST(:decision AS jsonb) -> 'also') WITH ORDINALITY AS wanted (request, place)
        WHERE :send
    ), attempt AS (
        INSERT INTO attempts (decision_id, request) SELECT id, action FROM decision WHERE :send RETURNING id
    )
    SELECT decision.id, attempt.id FROM decision LEFT JOIN attempt ON true
""")


_COLUMNS = tuple(field.name for field in fields(Decision))


async def record(connection: AsyncConnection, decision: Decision) -> Recorded:
    """Add the decision. Its status is pending, held or observed until an attempt changes it."""
    recorded, _ = await record_and_attempt(connection, decision, send=False)
    return recorded


async def record_and_attempt(
    connection: AsyncConnection, decision: Decision, *, send: bool
) -> tuple[Recorded, int | None]:
    """Add the decision and, with ``send``, the attempt. Return the decision and the attempt's id."""
    values = {name: getattr(decision, name) for name in _COLUMNS}
    found = await connection.execute(_RECORD, {"decision": json.dumps(values, default=_text), "send": send})
    row, attempt = found.one()
    return Recorded(row, decision, decision.first_status), attempt


async def newest(connection: AsyncConnection, submission: str) -> Recorded | None:
    """Return the submission's newest decision."""
    rows = await connection.execute(
        sa.select(decisions, STATUS.label("status"))
        .where(decisions.c.submission_id == submission)
        .order_by(decisions.c.id.desc())
        .limit(1),
    )
    row = rows.mappings().one_or_none()
    return recorded_from(dict(row)) if row else None


async def add_attempt(connection: AsyncConnection, decision: int, request: Mapping[str, Any] | None) -> int:
    """Add an attempt. It is stored before Prolific is called, so that a crash leaves a trace of the request."""
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
    """Add the answer to an attempt. The status is pending if the attempt is to be repeated."""
    await connection.execute(
        sa.insert(answers).values(
            attempt_id=attempt, status=status.value, status_code=status_code, answer=answer
        )
    )


async def supersede(connection: AsyncConnection, last: Recorded, by: Recorded) -> None:
    """Mark a decision that was never sent as superseded by a newer one."""
    attempt = await add_attempt(connection, last.id, None)
    answer = {"message": f"Decision {by.id} replaced it before it was sent."}
    await add_answer(connection, attempt, DecisionStatus.SUPERSEDED, None, answer)


_MAY_HAVE_ARRIVED = sa.text(f"""
    SELECT EXISTS (
        SELECT FROM attempts a LEFT JOIN answers n ON n.attempt_id = a.id WHERE a.decision_id = :decision AND {UNCLEAR}
    )
""")  # noqa: S608 - nothing of it comes from outside


async def may_have_arrived(connection: AsyncConnection, decision: int) -> bool:
    """Return True if Prolific may have processed an attempt without an answer: after a crash, a timeout, a 5xx."""
    return bool(await connection.scalar(_MAY_HAVE_ARRIVED, {"decision": decision}))


async def is_being_sent(connection: AsyncConnection, decision: int) -> bool:
    """Return True if a request of the decision was sent within ``LONGEST_CALL`` and has no answer yet."""
    found = await connection.scalar(
        sa.select(
            sa.exists()
            .select_from(attempts.outerjoin(answers))
            .where(
                attempts.c.decision_id == decision,
                answers.c.attempt_id.is_(None),
                sa.func.coalesce(attempts.c.request["endpoint"].astext, "").in_(
                    ["transition", "request-return", ""]
                ),
                # By the database's clock, which wrote it: workers may run on several machines.
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
    """Return submissions whose newest decision failed, oldest first, or only this one."""
    return list(await connection.scalars(_FAILED, {"submission": submission}))


_LOCK = """
    SELECT {lock}(hashtextextended(:service, 0)), pg_advisory_xact_lock(hashtextextended(:study, 0)),
           pg_advisory_xact_lock(hashtextextended(:submission, 0))
"""
_LOCK_SHARED = sa.text(_LOCK.format(lock="pg_advisory_xact_lock_shared"))
_LOCK_ALONE = sa.text(_LOCK.format(lock="pg_advisory_xact_lock"))


async def lock_for_review(connection: AsyncConnection, study: str, submission: str, *, alone: bool) -> None:
    """Exclude other decisions until the transaction ends, so that limits are exact.

    ``alone`` also excludes decisions of other studies, for limits of the whole service.
    """
    # Every transaction takes the locks in this order (service, study, submission), so that none deadlock.
    names = {"service": SERVICE, "study": f"{SERVICE}:{study}", "submission": f"{SUBMISSION}:{submission}"}
    await connection.execute(_LOCK_ALONE if alone else _LOCK_SHARED, names)


async def lock_submission(connection: AsyncConnection, submission: str) -> None:
    """Exclude other decisions of this submission until the transaction ends, even if its study is unknown."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(f"{SUBMISSION}:{submission}"))))


async def lock_study(connection: AsyncConnection, study: str) -> None:
    """Exclude other decisions of this study until the transaction ends."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(f"{SERVICE}:{study}"))))


async def lock_service(connection: AsyncConnection) -> None:
    """Exclude all decisions, pauses and resumes until the transaction ends."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(SERVICE))))


def _key(name: str) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(sa.literal(name), 0)


def recorded_from(row: Mapping[str, Any]) -> Recorded:
    """Return the decision of a row, whose times may be ISO 8601 text from JSON."""
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
        "decided_at": moment.from_row(row["decided_at"]),
        "recheck_at": moment.from_row(again) if again else None,
    }
    return Recorded(found, Decision(**row | typed), status)


def _text(value: datetime) -> str:
    return value.isoformat()
