"""The history of a submission under review: one statement, one snapshot."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Outcome
from service.domain.evidence import EvidenceOrigin
from service.domain.submission import Submission
from service.store.decisions import (
    BESIDE,
    DONE,
    STATUS_OF,
    UNCLEAR,
    Recorded,
    held_since,
    number_of_records,
    recorded_from,
)
from service.store.fetches import Fetch
from service.store.inbox import IS_FINAL
from service.store.pauses import Scope, scopes_from
from service.store.queue import Lease
from service.store.submissions import SAVE_SUBMISSION, submission_row

# Payloads of a source that are compared: the newest ones, and the first ones since completion.
VERSIONS = 10


@dataclass(frozen=True, slots=True)
class Version:
    """One payload of a source; ``received_at`` is by the database's clock, ``origin`` how it came."""

    source: str
    received_at: datetime
    payload: Mapping[str, Any]
    origin: EvidenceOrigin = EvidenceOrigin.PUSH


@dataclass(frozen=True, slots=True)
class ReturnAsked:
    """A request to return that was applied. ``recheck_at`` ends the participant's time to answer."""

    sent_at: datetime
    decided_at: datetime
    recheck_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A request that Prolific may have processed, although neither an answer nor a later decision confirms it."""

    decision: Recorded
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """The history of a submission. All times but those inside facts are by the database's clock, ``now`` too.

    ``first_seen_at`` is None and ``ever_final`` False for a submission never fetched before. ``ended`` is True if
    a webhook ever reported a final status, ``decided`` if approve, reject or complete was applied. ``evidence`` has
    the newest payloads of each source and the first since completion, newest first, without the ``conflicts`` that
    name another participant. ``fetches`` are the sources that were asked. ``unread`` are the ids of evidence rows
    that no finished review has handled. ``records`` counts the submission's decisions and answers.
    """

    now: datetime
    first_seen_at: datetime | None
    ever_final: bool
    ended: bool
    decided: bool
    evidence: Sequence[Version]
    conflicts: int
    fetches: Sequence[Fetch]
    unread: Sequence[int]
    newest: Recorded | None
    asked: ReturnAsked | None
    unconfirmed: Unconfirmed | None
    held_since: datetime | None
    study: Scope
    service: Scope
    has_timer: bool
    lease_held: bool
    records: int


# Evidence whose payload names a participant who is not the submission's.
OF_ANOTHER = "e.participant_id IS NOT NULL AND e.participant_id IS DISTINCT FROM asked.participant"

# A source's own payloads. Later ones never displace the first since completion, which a conflict is judged by.
_OWN = f"""SELECT e.id FROM evidence e
    WHERE e.submission_id = asked.id AND e.source = wanted.source AND NOT ({OF_ANOTHER})"""  # noqa: S608


# Of a body that rule files read differently, what this submission's file reads counts.
READING = """CASE WHEN v.readings IS NULL THEN v.payload
                 ELSE coalesce(v.readings -> CAST(:rule_file AS text), '{}') END"""

_DECIDED = f"('{Outcome.APPROVE}', '{Outcome.REJECT}', '{Outcome.COMPLETE}')"

# Each part reads an index by the submission's id; parts about decisions find nothing at a first review.
_HISTORY = f"""
    WITH seen AS ({{seen}})
    SELECT clock_timestamp() AS now, s.first_seen_at, coalesce(s.ever_final, false) AS ever_final,
           EXISTS (SELECT FROM inbox e WHERE e.submission_id = asked.id AND e.readable AND {IS_FINAL}) AS ended,
           EXISTS (SELECT FROM decisions d JOIN attempts a ON a.decision_id = d.id
                   JOIN answers n ON n.attempt_id = a.id
                   WHERE d.submission_id = asked.id AND d.outcome IN {_DECIDED} AND n.status IN {DONE}) AS decided,
           (SELECT jsonb_agg(jsonb_build_object('source', v.source, 'received_at', v.received_at,
                                                'payload', {READING}, 'origin', v.origin) ORDER BY v.id DESC)
            FROM unnest(CAST(:sources AS text[])) AS wanted (source) CROSS JOIN LATERAL (
                SELECT e.id, e.source, e.received_at, e.payload, e.readings, e.origin FROM evidence e
                WHERE e.id IN (({_OWN} ORDER BY e.id DESC LIMIT {VERSIONS}) UNION
                               ({_OWN} AND e.received_at >= coalesce(asked.since, '-infinity')
                                ORDER BY e.id LIMIT {VERSIONS}))
            ) v) AS evidence,
           (SELECT count(*) FROM evidence e WHERE e.submission_id = asked.id AND {OF_ANOTHER}) AS conflicts,
           (SELECT jsonb_agg(jsonb_build_object(
                'source', f.source, 'declaration', f.declaration, 'result', f.result, 'reason', f.reason,
                'is_over', f.due_at IS NULL))
            FROM fetches f WHERE f.submission_id = asked.id) AS fetches,
           (SELECT array_agg(e.id) FROM evidence e
            WHERE e.submission_id = asked.id AND e.handled_at IS NULL) AS unread,
           (SELECT to_jsonb(d) || jsonb_build_object('status', {STATUS_OF}) FROM decisions d
            WHERE d.submission_id = asked.id ORDER BY d.id DESC LIMIT 1) AS newest,
           (SELECT jsonb_build_object('sent_at', a.at, 'decided_at', d.decided_at, 'recheck_at', d.recheck_at)
            FROM decisions d JOIN attempts a ON a.decision_id = d.id JOIN answers n ON n.attempt_id = a.id
            WHERE d.submission_id = asked.id AND d.outcome = '{Outcome.REQUEST_RETURN}' AND n.status IN {DONE}
              AND coalesce(a.request ->> 'endpoint', '') NOT IN {BESIDE}
            ORDER BY a.id DESC LIMIT 1) AS asked,
           (SELECT jsonb_build_object(
                'sent_at', a.at, 'decision', to_jsonb(d) || jsonb_build_object('status', {STATUS_OF}))
            FROM decisions d JOIN attempts a ON a.decision_id = d.id LEFT JOIN answers n ON n.attempt_id = a.id
            WHERE d.submission_id = asked.id AND {UNCLEAR}
              AND NOT EXISTS (SELECT FROM attempts later JOIN answers l ON l.attempt_id = later.id
                              WHERE later.decision_id = d.id AND later.id >= a.id
                                AND (l.status IN {DONE} OR l.answer ? 'status'))
              AND NOT EXISTS (SELECT FROM decisions x JOIN attempts later ON later.decision_id = x.id
                              JOIN answers l ON l.attempt_id = later.id
                              WHERE x.submission_id = asked.id AND x.id > d.id AND x.outcome IN {_DECIDED}
                                AND l.status IN {DONE})
            ORDER BY a.id DESC LIMIT 1) AS unconfirmed,
           CASE WHEN CAST(:holds_end AS boolean) THEN {held_since("asked.id")} END AS held_since,
           (SELECT jsonb_agg(b ORDER BY b.id) FROM brakes b
            WHERE b.study_id IS NULL OR b.study_id = asked.study) AS brakes,
           EXISTS (SELECT FROM procrastinate_jobs t
                   WHERE t.queueing_lock = 'timer:' || asked.id AND t.status = 'todo') AS has_timer,
           {{lease}} AS lease_held, {number_of_records("asked.id")} AS records
    FROM (SELECT CAST(:id AS text) AS id, CAST(:study AS text) AS study, CAST(:participant AS text) AS participant,
                 CAST(:since AS timestamptz) AS since) AS asked LEFT JOIN seen s ON true
"""  # noqa: S608 - nothing of it comes from outside
_LOAD_SEEN = "SELECT first_seen_at, ever_final FROM submissions WHERE id = :id"
_HOLD_LEASE = """(SELECT 1 FROM procrastinate_jobs j
    WHERE j.id = :job AND j.attempts = :attempts AND j.status = 'doing' FOR SHARE)"""
_REVIEW = sa.text(_HISTORY.replace("{seen}", SAVE_SUBMISSION).replace("{lease}", _HOLD_LEASE))
_READ_ONLY = sa.text(_HISTORY.replace("{seen}", _LOAD_SEEN).replace("{lease}", "1"))


async def review_history(
    connection: AsyncConnection,
    submission: Submission,
    *,
    claimed: bool,
    sources: Sequence[str],
    rule_file: str | None = None,
    since: datetime | None,
    holds_end: bool,
    lease: Lease | None,
) -> History:
    """Save the fetched submission and load its history in one statement.

    Exact while the study's lock is held. The row of the lease's job stays locked until the transaction ends, so
    that no other worker takes it over. ``sources`` are those that ``rule_file`` declares, ``holds_end`` asks for
    the start of the hold. Evidence ``since`` that time is compared, None: all of it.
    """
    values = _values(
        submission.id, submission.study_id, submission.participant_id, sources, since, holds_end=holds_end
    )
    values["rule_file"] = rule_file
    values |= {"seen": json.dumps(submission_row(submission, claimed=claimed))}
    values |= {"job": lease.job_id, "attempts": lease.attempts} if lease else {"job": None, "attempts": None}
    found = await connection.execute(_REVIEW, values)
    history = _history(found.mappings().one(), submission.study_id)
    return history if lease else replace(history, lease_held=True)


async def history_of(
    connection: AsyncConnection,
    submission: str,
    *,
    study: str | None,
    participant: str | None,
    sources: Sequence[str] = (),
    rule_file: str | None = None,
    since: datetime | None = None,
    holds_end: bool = False,
) -> History:
    """Load the history of a submission without writing anything."""
    values = _values(submission, study, participant, sources, since, holds_end=holds_end)
    values["rule_file"] = rule_file
    found = await connection.execute(_READ_ONLY, values)
    return _history(found.mappings().one(), study)


def _values(
    submission: str,
    study: str | None,
    participant: str | None,
    sources: Sequence[str],
    since: datetime | None,
    *,
    holds_end: bool,
) -> dict[str, Any]:
    return {
        "id": submission,
        "study": study,
        "participant": participant,
        "sources": list(sources),
        "since": since,
        "holds_end": holds_end,
    }


def _history(row: Mapping[Any, Any], study: str | None) -> History:
    own, service = scopes_from(row["brakes"], study) if row["brakes"] else (Scope(study), Scope(None))
    return History(
        now=row["now"],
        first_seen_at=row["first_seen_at"],
        ever_final=row["ever_final"],
        ended=row["ended"],
        decided=row["decided"],
        evidence=[_version(one) for one in row["evidence"] or ()],
        conflicts=row["conflicts"],
        fetches=[Fetch(**one) for one in row["fetches"] or ()],
        unread=row["unread"] or (),
        newest=recorded_from(row["newest"]) if row["newest"] else None,
        asked=_asked(row["asked"]) if row["asked"] else None,
        unconfirmed=_unconfirmed(row["unconfirmed"]) if row["unconfirmed"] else None,
        held_since=row["held_since"],
        study=own,
        service=service,
        has_timer=row["has_timer"],
        lease_held=row["lease_held"] is not None,
        records=row["records"],
    )


def _version(row: Mapping[str, Any]) -> Version:
    return Version(
        row["source"],
        datetime.fromisoformat(row["received_at"]),
        row["payload"],
        EvidenceOrigin(row["origin"]),
    )


def _asked(row: Mapping[str, Any]) -> ReturnAsked:
    again = row["recheck_at"]
    return ReturnAsked(
        datetime.fromisoformat(row["sent_at"]),
        datetime.fromisoformat(row["decided_at"]),
        datetime.fromisoformat(again) if again else None,
    )


def _unconfirmed(row: Mapping[str, Any]) -> Unconfirmed:
    return Unconfirmed(recorded_from(row["decision"]), datetime.fromisoformat(row["sent_at"]))
