"""Past submissions of a study, each with its deciding decision, and what was known of them at a time."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import DecisionStatus, Facts, Guard, Outcome, Trigger
from service.domain.evidence import EvidenceOrigin
from service.domain.submission import Status, Submission
from service.store.decisions import DONE
from service.store.submissions import PARENT_OF

CHUNK = 200  # submissions in memory at once


@dataclass(frozen=True, slots=True)
class PastDecision:
    """The decision that decided a submission: a person's, else the one that was applied, else the newest.

    ``pays`` is what Prolific was to be sent.
    """

    id: int
    trigger: Trigger
    outcome: Outcome
    proposed: Outcome
    guard: Guard | None
    rule: str | None
    rules_hash: str | None
    facts: Facts
    action: dict[str, Any] | None
    reason: str
    decided_at: datetime

    @property
    def is_manual(self) -> bool:
        return self.trigger is Trigger.PERSON


@dataclass(frozen=True, slots=True)
class PastSubmission:
    """A submission as seen last, and what decided it; None if nothing did."""

    submission: Submission
    first_seen_at: datetime | None
    decision: PastDecision | None


@dataclass(frozen=True, slots=True)
class AsOf:
    """A submission and the time until which its evidence counts."""

    submission_id: str
    participant_id: str | None
    until: datetime


@dataclass(frozen=True, slots=True)
class PastPayload:
    """The payload of a source. ``readings`` are its values by rule file, where files read one body differently."""

    values: Mapping[str, Any]
    is_browser: bool = False
    readings: Mapping[str, Mapping[str, Any]] | None = None

    def read_by(self, path: str) -> Mapping[str, Any]:
        """Return the values that a rule file reads.

        A file to try may have a name of its own: then the values count that all files read alike.
        """
        if self.readings is None or path in self.readings:
            return (self.readings or {}).get(path, self.values)
        # The values that differ depend on the file that will claim the study, which is not known.
        first, *others = self.readings.values() or [{}]
        return {
            name: value
            for name, value in first.items()
            if all(name in one and one[name] == value for one in others)
        }


@dataclass(frozen=True, slots=True)
class AboutStudy:
    """The seen ``submissions``. ``is_listed`` is True if Prolific's list was read to its end."""

    submissions: int
    parent_id: str | None
    is_listed: bool


# A decision ``d`` as JSON.
DECISION = """jsonb_build_object(
    'id', d.id, 'trigger', d.trigger, 'outcome', d.outcome, 'proposed', d.proposed, 'guard', d.guard,
    'rule', d.rule, 'rules_hash', d.rules_hash, 'facts', d.facts, 'action', d.action, 'reason', d.reason,
    'decided_at', d.decided_at)"""

# Failures have neither rules nor facts: what they were about was not decided. The order is what PastDecision says.
_DECIDED = f"""
    LATERAL (
        SELECT {DECISION} AS decision
        FROM decisions d JOIN decision_states state ON state.decision_id = d.id
        WHERE d.submission_id = s.id AND state.status <> '{DecisionStatus.SUPERSEDED}'
          AND (d.rules_hash IS NOT NULL OR d.trigger = '{Trigger.PERSON}')
        ORDER BY d.trigger = '{Trigger.PERSON}' DESC, state.status IN {DONE} DESC, d.id DESC LIMIT 1
    ) decided ON true"""  # noqa: S608 - nothing of it comes from outside

_PAST = sa.text(f"""
    SELECT s.data, s.first_seen_at, decided.decision FROM submissions s LEFT JOIN {_DECIDED}
    WHERE s.study_id = :study AND (decided.decision IS NOT NULL OR s.data ->> 'completed_at' IS NOT NULL)
    ORDER BY CAST(s.data ->> 'completed_at' AS timestamptz) NULLS LAST, s.id
""")  # noqa: S608 - nothing of it comes from outside

_DECIDED_OF = sa.text(f"""
    SELECT s.id, s.first_seen_at, decided.decision FROM submissions s LEFT JOIN {_DECIDED}
    WHERE s.id = ANY(:ids)
""")  # noqa: S608 - nothing of it comes from outside

_IDLE_LONGER = sa.text("SET LOCAL idle_in_transaction_session_timeout = '10min'")

_TRACES = sa.text("SELECT id, trace FROM decisions WHERE id = ANY(:ids)")

_ABOUT = sa.text(f"""
    SELECT (SELECT count(*) FROM submissions WHERE study_id = :study) AS submissions,
           {PARENT_OF.format(study=":study")} AS parent_id,
           EXISTS (SELECT FROM studies WHERE id = :study AND listed_at IS NOT NULL) AS is_listed
""")  # noqa: S608 - nothing of it comes from outside

# Like a review, which ignores what names another participant.
_EVIDENCE = sa.text("""
    SELECT wanted.id, e.source, e.payload, e.readings, e.origin
    FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS wanted (id text, participant text, until timestamptz)
    CROSS JOIN unnest(CAST(:sources AS text[])) AS source (name)
    CROSS JOIN LATERAL (
        SELECT e.source, e.payload, e.readings, e.origin FROM evidence e
        WHERE e.submission_id = wanted.id AND e.source = source.name AND e.received_at <= wanted.until
          AND NOT (e.participant_id IS NOT NULL AND e.participant_id IS DISTINCT FROM wanted.participant)
        ORDER BY e.id DESC LIMIT 1
    ) e
""")

_PARTICIPANTS = sa.text("""
    SELECT wanted.id, count(s.id) AS submissions,
           count(s.id) FILTER (WHERE s.status = 'APPROVED') AS approved,
           count(s.id) FILTER (WHERE s.status = 'REJECTED') AS rejected,
           count(s.id) FILTER (WHERE s.status = 'RETURNED') AS returned
    FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS wanted (id text, participant text)
    LEFT JOIN submissions s ON s.participant_id = wanted.participant AND s.id <> wanted.id
    GROUP BY wanted.id
""")


async def about_study(connection: AsyncConnection, study: str) -> AboutStudy:
    """Return what is known of a study beside its submissions."""
    rows = await connection.execute(_ABOUT, {"study": study})
    return AboutStudy(**rows.mappings().one())


async def past_submissions(
    connection: AsyncConnection, study: str
) -> AsyncIterator[Sequence[PastSubmission]]:
    """Yield the study's submissions in the order of their completion, in chunks: memory stays flat."""
    # Judging a chunk takes time in which the transaction is idle: more than other transactions may take.
    await connection.execute(_IDLE_LONGER)
    async with connection.stream(_PAST, {"study": study}) as rows:
        async for chunk in rows.partitions(CHUNK):
            yield [past_from(*row) for row in chunk]


async def decided_of(
    connection: AsyncConnection, ids: Sequence[str]
) -> dict[str, tuple[datetime, PastDecision | None]]:
    """Return by submission when it was first seen here, and what decided it."""
    rows = await connection.execute(_DECIDED_OF, {"ids": list(ids)})
    return {row.id: (row.first_seen_at, _decision(row.decision) if row.decision else None) for row in rows}


async def traces_of(connection: AsyncConnection, decisions: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the recorded traces of decisions, by their ids."""
    rows = await connection.execute(_TRACES, {"ids": list(decisions)})
    return {row.id: row.trace for row in rows}


async def evidence_until(
    connection: AsyncConnection, wanted: Sequence[AsOf], sources: Sequence[str]
) -> dict[str, dict[str, PastPayload]]:
    """Return by submission and source the payload that was the newest at the time."""
    if not wanted or not sources:
        return {}
    asked = [
        {"id": one.submission_id, "participant": one.participant_id, "until": one.until.isoformat()}
        for one in wanted
    ]
    rows = await connection.execute(_EVIDENCE, {"wanted": json.dumps(asked), "sources": list(sources)})
    found: dict[str, dict[str, PastPayload]] = {}
    for row in rows:
        is_browser = row.origin == EvidenceOrigin.BROWSER
        found.setdefault(row.id, {})[row.source] = PastPayload(row.payload, is_browser, row.readings)
    return found


async def participants_today(connection: AsyncConnection, wanted: Sequence[AsOf]) -> dict[str, Facts]:
    """Return by submission how many other submissions of its participant are known today, and their statuses."""
    asked = [{"id": one.submission_id, "participant": one.participant_id} for one in wanted]
    rows = await connection.execute(_PARTICIPANTS, {"wanted": json.dumps(asked)})
    counts = ("submissions", "approved", "rejected", "returned")
    return {row["id"]: {name: row[name] for name in counts} for row in rows.mappings()}


_FIELDS = {field.name for field in fields(Submission)}
_TIMES = ("started_at", "completed_at", "return_requested_at")


def submission_from(data: dict[str, Any]) -> Submission:
    """Read a submission from what was stored of it."""
    known = {name: value for name, value in data.items() if name in _FIELDS}
    times = {name: datetime.fromisoformat(known[name]) if known.get(name) else None for name in _TIMES}
    return Submission(**known | times | {"status": Status.parse(known["status"])})


def past_from(
    data: dict[str, Any], first_seen_at: datetime, decided: dict[str, Any] | None
) -> PastSubmission:
    """Read a submission with its decision from their row."""
    return PastSubmission(submission_from(data), first_seen_at, _decision(decided) if decided else None)


def _decision(row: dict[str, Any]) -> PastDecision:
    typed = {
        "trigger": Trigger(row["trigger"]),
        "outcome": Outcome(row["outcome"]),
        "proposed": Outcome(row["proposed"]),
        "guard": Guard(row["guard"]) if row["guard"] else None,
        "decided_at": datetime.fromisoformat(row["decided_at"]),
    }
    return PastDecision(**row | typed)
