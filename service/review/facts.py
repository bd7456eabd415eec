"""The facts that rules decide on: one nested JSON object, missing facts absent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.domain.decision import Facts
from service.domain.submission import PARTICIPANT, Study, Submission
from service.rules import RuleFile, Source
from service.rules.facts import SEEN_AT

NO_CODE = "NOCODE"  # what Prolific shows where no code was entered (reference 2.1)


def facts_of(
    submission: Submission,
    study: Study | None,
    evidence: Mapping[str, Mapping[str, Any]],
    rule_file: RuleFile,
    *,
    completed_by: datetime,
    now: datetime,
    statistics: Facts | None = None,
    seen_at: Mapping[str, datetime] | None = None,
) -> Facts:
    """Return all that is known of a submission.

    ``evidence`` is the newest payload of each source; ``completed_by`` stands in for a completion time that
    Prolific does not give; ``statistics`` are the groups of facts that are computed over other submissions;
    ``seen_at`` is when each group was fetched, received or counted, from which the trace has its ages.
    """
    since = submission.completed_at or completed_by
    return {
        "submission": _known(_submission_facts(submission, study)),
        "study": _known(_study_facts(study)) if study else {},
        "evidence": {
            name: _evidence_facts(source, evidence.get(name), since, now)
            for name, source in rule_file.evidence.items()
        },
        **(statistics or {}),
        "now": _text(now),
        SEEN_AT: {group: _text(at) for group, at in (seen_at or {}).items()},
    }


def still_to_come(rule_file: RuleFile, facts: Facts, completed_at: datetime) -> datetime | None:
    """When the first of the sources that are still waited for is given up; None if none is."""
    return min(
        (
            completed_at + source.wait
            for name, source in rule_file.evidence.items()
            if source.wait and "received" not in facts["evidence"][name]
        ),
        default=None,
    )


def _submission_facts(submission: Submission, study: Study | None) -> dict[str, Any]:
    taken = time_taken(submission)
    minutes = study.estimated_completion_time if study else None
    return {
        "id": submission.id,
        "study_id": submission.study_id,
        "participant_id": submission.participant_id,
        "status": submission.status.value,
        "started_at": _text(submission.started_at),
        "completed_at": _text(submission.completed_at),
        "time_taken": taken,
        "pace": taken / (minutes * 60) if taken is not None and minutes else None,
        "entered_code": submission.entered_code or None,
        "code_type": _code_type(submission.entered_code, study),
        "return_requested": submission.return_requested_at is not None,
        "return_requested_at": _text(submission.return_requested_at),
    }


def _study_facts(study: Study) -> dict[str, Any]:
    return {
        "id": study.id,
        "name": study.name,
        "status": study.status,
        "estimated_completion_time": study.estimated_completion_time,
        "maximum_allowed_time": study.maximum_allowed_time,
        "reward": study.reward,
        "total_available_places": study.total_available_places,
        "metadata": study.metadata,
    }


def time_taken(submission: Submission) -> int | None:
    """Seconds, as Prolific counted them; the detail has only the two times (reference 2.1)."""
    if submission.time_taken:
        return submission.time_taken
    if submission.started_at and submission.completed_at:
        return max(0, int((submission.completed_at - submission.started_at).total_seconds()))
    return None


def _code_type(entered: str | None, study: Study | None) -> str | None:
    code = (entered or "").strip()
    if not code or code == NO_CODE:
        return "NONE"
    if study is None:
        return None
    types = [
        known.code_type
        for known in study.completion_codes
        if known.actor == PARTICIPANT and known.code == code
    ]
    return types[0] if types else "UNKNOWN"


def _evidence_facts(
    source: Source, said: Mapping[str, Any] | None, since: datetime, now: datetime
) -> dict[str, Any]:
    if said is None:
        waiting = source.wait is not None and now < since + source.wait
        return {} if waiting else {"received": False}
    # Checked when it was pushed; the file may have changed since, or the study was not known then.
    accepted = source.validate(said).values
    return {**_known(accepted), "received": True}


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
