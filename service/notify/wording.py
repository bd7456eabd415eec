"""The texts of notifications: ids, names of rules and files, numbers. Never a text by or to a participant."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from service.rules import Finding
from service.store.holds import HeldSubmission, HoldCount
from service.store.notifications import Notification, UnclaimedStudy, UnreportedFailure, UnreportedPause

LISTED = 20  # of a kind in one message; the rest is counted


class Kind(StrEnum):
    BREAKER = "breaker"
    PAUSED = "paused"
    RESUMED = "resumed"
    FIRST_HOLD = "first_hold"
    DIGEST = "digest"
    DEADLINE = "deadline"
    FAILED = "failed"
    SUBSCRIPTION_LOST = "subscription_lost"
    SUBSCRIPTION_BACK = "subscription_back"
    RULES_BROKEN = "rules_broken"
    RULES_MENDED = "rules_mended"
    SILENCE = "silence"
    UNCLAIMED = "unclaimed"
    EVIDENCE_REFUSED = "evidence_refused"
    EVIDENCE_FAILED = "evidence_failed"


TITLES: dict[str, str] = {
    Kind.BREAKER: "A limit was reached",
    Kind.PAUSED: "Paused",
    Kind.RESUMED: "Resumed",
    Kind.FIRST_HOLD: "A submission is held for manual review",
    Kind.DIGEST: "Submissions are held for manual review",
    Kind.DEADLINE: "A held submission is near its deadline",
    Kind.FAILED: "A decision could not be applied",
    Kind.SUBSCRIPTION_LOST: "Prolific sends no webhooks",
    Kind.SUBSCRIPTION_BACK: "Prolific sends webhooks again",
    Kind.RULES_BROKEN: "Rule files have errors",
    Kind.RULES_MENDED: "The rule files are valid again",
    Kind.SILENCE: "No webhook for 24 hours",
    Kind.UNCLAIMED: "A study has no rules",
    Kind.EVIDENCE_REFUSED: "Evidence is refused",
    Kind.EVIDENCE_FAILED: "A source of evidence does not answer as declared",
}
_HOLDS = "`autoreview holds` lists what is held, `autoreview resolve SUBMISSION … --by NAME` decides it."
ADVICE: dict[str, str] = {
    Kind.FIRST_HOLD: f"{_HOLDS} While anything is held, a digest comes once a day.",
    Kind.DIGEST: _HOLDS,
    Kind.DEADLINE: f"Prolific approves it then. {_HOLDS}",
    Kind.FAILED: "`autoreview decisions list --status failed` shows them, `autoreview retry --all` tries again.",
    Kind.SUBSCRIPTION_LOST: "Run `autoreview connect`. Until then only the sweep finds submissions.",
    Kind.RULES_BROKEN: "The last valid rules stay in force. `autoreview check` lists the errors.",
    Kind.UNCLAIMED: "Add the study's id to `studies:` of a rule file, and its submissions are reviewed. Without "
    "rules Prolific approves them on day 21. Each study is reported once.",
    Kind.EVIDENCE_REFUSED: "Reviews wait for this evidence, or hold. `autoreview evidence tail` shows each delivery.",
    Kind.EVIDENCE_FAILED: "Reviews wait for this evidence, or hold. `autoreview status` shows the cause.",
    Kind.SILENCE: "`autoreview doctor` looks for the cause. Until then only the sweep finds submissions.",
}
LIMITED = {
    "limit.reject": "rejections",
    "limit.request_return": "requests to return",
    "limit.reward": "payments",
}


def pause_or_breaker(row: UnreportedPause) -> tuple[Kind, str]:
    """Return the kind and text of a breaker, pause or resume, without the reason that a person wrote."""
    study = row.study_id
    where, option = (f"Study {study}", f" --study {study}") if study else ("The whole service", "")
    if row.kind == "pause":
        return Kind.PAUSED, f"{where} was paused: every decision is held."
    if row.kind == "resume":
        return Kind.RESUMED, f"{where} was resumed: held submissions are reviewed again."
    limited = LIMITED.get(row.guard or "", "decisions")
    return Kind.BREAKER, (
        f"{where}, {row.guard}: {row.reason} Its {limited} are held until a named person looks at them "
        f"(`autoreview holds{option}`) and closes this breaker "
        f"(`autoreview resume{option} --by NAME --reason …`)."
    )


def first_hold(hold: HeldSubmission) -> str:
    return f"{_submission(hold)} is held: {_why(hold)}."


def digest(counts: Sequence[HoldCount], now: datetime) -> str:
    oldest = now - min(row.oldest for row in counts)
    lines = [f"{sum(row.number for row in counts)} are held, the oldest for {_length(oldest)}:"]
    lines += [f"{row.number} of study {row.study_id}: {_why(row)}" for row in counts[:LISTED]]
    return "\n".join([*lines, *_more(len(counts), "kinds of holds")])


def near_deadline(hold: HeldSubmission) -> str:
    return f"{_submission(hold)}: {moment(hold.deadline)}; held: {_why(hold)}"


def failure(row: UnreportedFailure) -> str:
    answer = f"Prolific answered {row.status_code}" if row.status_code else "Prolific did not answer"
    return f"Submission {row.submission_id} of study {row.study_id}: {row.outcome}, {answer}"


def subscription_lost(state: str) -> str:
    what = "The subscription for status changes that points here"
    return f"{what} {'was disabled by Prolific' if state == 'disabled' else 'is missing at Prolific'}."


def broken(findings: Sequence[Finding]) -> str:
    lines = [f"{Path(one.file).name}:{one.line}:{one.column} {one.code}" for one in findings[:LISTED]]
    return "\n".join([*lines, *_more(len(findings), "errors")])


def silence(since: datetime, now: datetime, studies: Sequence[str]) -> str:
    named = ", ".join(studies[:LISTED])
    return (
        f"The last webhook came {moment(since)}, {_length(now - since)} ago, and {len(studies)} "
        f"{'study is' if len(studies) == 1 else 'studies are'} active: {named}."
    )


def unclaimed(row: UnclaimedStudy) -> str:
    one = row.number == 1
    parent = f" (part of study {row.parent_id})" if row.parent_id else ""
    return (
        f"{row.number} {'submission' if one else 'submissions'} of study {row.id}{parent} "
        f"{'awaits' if one else 'await'} review, since {moment(row.since)}, and no rule file names the study."
    )


def message(notifications: Sequence[Notification]) -> tuple[str, str]:
    """Return the title and text of one message with all notifications."""
    kinds: dict[str, list[Notification]] = {}
    for notification in notifications:
        kinds.setdefault(notification.kind, []).append(notification)
    titles = [
        group[0].title if len(group) == 1 else f"{len(group)} × {group[0].title}" for group in kinds.values()
    ]
    if len(kinds) == 1:
        return f"Autoreview: {titles[0]}", _section(notifications)
    sections = [f"{title}\n{_section(group)}" for title, group in zip(titles, kinds.values(), strict=True)]
    return f"Autoreview: {len(notifications)} notifications", "\n\n".join(sections)


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _section(notifications: Sequence[Notification]) -> str:
    """Return notifications of one kind, and what to do about them."""
    lines = [f"{moment(one.at)}: {one.text}" for one in notifications[:LISTED]]
    lines += _more(len(notifications), "of these")
    advice = ADVICE.get(notifications[0].kind)
    return "\n".join([*lines, advice] if advice else lines)


def _submission(row: HeldSubmission) -> str:
    study = f" of study {row.study_id}" if row.study_id else ""
    return f"Submission {row.submission_id}{study}"


def _why(hold: HeldSubmission | HoldCount) -> str:
    rule = f"rule {hold.rule}" if hold.rule else "no rule decided"
    return f"{rule}, guard {hold.guard}" if hold.guard else rule


def _more(number: int, what: str) -> list[str]:
    return [f"… and {number - LISTED} more {what}"] if number > LISTED else []


def _length(length: timedelta) -> str:
    hours = int(length / timedelta(hours=1))
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def refused_evidence(source: str, number: int, reasons: Sequence[str]) -> str:
    """Return the sentence about refused deliveries of a source: never a value that a participant gave."""
    return f"Source {source}: {number} refused within an hour ({', '.join(reasons)})."


def failed_evidence(source: str, number: int) -> str:
    """Return the sentence about requests to a source that failed: the cause may quote an answer, so not that."""
    return (
        f"Source {source}: requests about {number} {'submission' if number == 1 else 'submissions'} failed."
    )
