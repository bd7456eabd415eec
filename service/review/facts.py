"""The facts that rules decide on: one nested JSON object. Missing facts are absent."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service.domain.decision import Facts
from service.domain.evidence import ORIGIN, EvidenceOrigin
from service.domain.submission import PARTICIPANT, Study, Submission
from service.rules import RuleFile, Source
from service.rules.evidence import RECEIVED
from service.rules.facts import PROBLEMS, SEEN_AT
from service.store.fetches import Fetch

# The time that the last attempt of a source has after its ``wait``.
LAST_ATTEMPT = timedelta(minutes=1)
NO_CODE = "NOCODE"  # what Prolific shows for a submission without a code


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
    fetches: Sequence[Fetch] = (),
    browser: Collection[str] = (),
    compared: Mapping[str, Mapping[str, int]] | None = None,
) -> Facts:
    """Return the facts of a submission.

    ``evidence`` is the newest payload of each source, ``completed_by`` replaces a completion time that Prolific
    does not give, ``statistics`` are the groups of facts computed over other submissions. ``seen_at`` is when each
    group was fetched, received or counted: the trace computes its ages from that. ``fetches`` are the results of
    sources that were asked, ``browser`` the sources whose newest payload a browser sent, ``compared`` the facts of
    each source that count other submissions. ``problems`` of the facts says why asked sources have no value.
    """
    since = submission.completed_at or completed_by
    asked = {fetch.source: fetch for fetch in fetches}
    problems = _problems(rule_file, asked, evidence, since, now)
    return {
        "submission": _known(_submission_facts(submission, study)),
        "study": _known(_study_facts(study)) if study else {},
        "evidence": {
            name: evidence_facts(source, evidence.get(name), asked.get(name), since, now)
            | dict((compared or {}).get(name, {}))
            | (mark_of_browser(source) if name in browser else {})
            for name, source in rule_file.evidence.items()
        },
        **(statistics or {}),
        **({PROBLEMS: problems} if problems else {}),
        "now": _text(now),
        SEEN_AT: {group: _text(at) for group, at in (seen_at or {}).items()},
    }


def still_to_come(
    rule_file: RuleFile, facts: Facts, completed_at: datetime, now: datetime
) -> datetime | None:
    """Return when the ``wait`` of the first missing source ends, None if no source is awaited.

    A source that is asked is awaited until its first attempt ended, even after its ``wait``.
    """
    return min(
        (
            until if (until := completed_at + (source.wait or timedelta(0))) > now else now + LAST_ATTEMPT
            for name, source in to_come(rule_file, facts).items()
        ),
        default=None,
    )


def to_come(rule_file: RuleFile, facts: Facts) -> dict[str, Source]:
    """Return the sources that may still answer."""
    return {
        name: source for name, source in rule_file.evidence.items() if RECEIVED not in facts["evidence"][name]
    }


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
    """Return the time taken in seconds. A single submission from the API may have only its two times."""
    if submission.time_taken:
        return submission.time_taken
    if submission.started_at and submission.completed_at:
        return max(0, int((submission.completed_at - submission.started_at).total_seconds()))
    return None


def _code_type(entered: str | None, study: Study | None) -> str | None:
    code = (entered or "").strip()
    # Null, empty and NOCODE all occur, in lists and alone.
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


def evidence_facts(
    source: Source,
    payload: Mapping[str, Any] | None,
    fetch: Fetch | None,
    since: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Return the facts of a source; none while its answer may still come."""
    if payload is None:
        return {} if _may_come(source, fetch, since, now) else {RECEIVED: False}
    # The payload was validated when it was pushed, but the rule file may have changed since.
    accepted = source.validate(payload).values
    return {**_known(accepted), RECEIVED: True}


def mark_of_browser(source: Source) -> dict[str, str]:
    """Return the mark of evidence that a browser sent; a declared field of that name is not the mark."""
    return {} if ORIGIN in source.fields else {ORIGIN: EvidenceOrigin.BROWSER.value}


def _may_come(source: Source, fetch: Fetch | None, since: datetime, now: datetime) -> bool:
    """Return True if a source may still answer: its ``wait`` runs, or it was not asked as it is declared now."""
    until = since + (source.wait or timedelta(0))
    if now < until or not source.is_asked:
        return now < until
    # An answer to another address or query says nothing about the source as it is declared now.
    if fetch is None or fetch.declaration != source.declaration or fetch.result is None:
        return True
    return not fetch.is_over and now < until + LAST_ATTEMPT


def _problems(
    rule_file: RuleFile,
    asked: Mapping[str, Fetch],
    evidence: Mapping[str, Mapping[str, Any]],
    since: datetime,
    now: datetime,
) -> dict[str, str]:
    """Return why each source that was asked, and is not asked again, did not answer completely."""
    return {
        name: fetch.reason
        for name, fetch in asked.items()
        if fetch.reason
        and name in rule_file.evidence
        and (name in evidence or not _may_come(rule_file.evidence[name], fetch, since, now))
    }


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
