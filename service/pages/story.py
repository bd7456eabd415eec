"""The story of a submission: what came in, what was decided and sent, in the order of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.rulebook.recorded import parsed, would_have_changed
from service.rules.excerpt import Excerpt, excerpts
from service.store.planned import Planned
from service.store.refusals import StoredRefusal
from service.store.rulebooks import KeptFile

KINDS = ("event", "evidence", "refusal", "decision", "attempt", "planned")  # in this order at the same moment
MOST_EXPLAINED = 20  # decisions, the newest, whose rules are shown


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the history; ``kind`` is one of ``KINDS``."""

    at: datetime
    kind: str
    what: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explained:
    """The details that a decision depends on.

    ``excerpt`` is the deciding rule as it was, ``changed`` says how it differs in the rules in force, ``not_asked``
    are the rules after it. ``texts`` are what the participant was sent.
    """

    excerpt: Excerpt | None
    changed: str | None
    not_asked: tuple[str, ...]
    counterfactual: str | None
    texts: tuple[str, ...]


def entries(
    events: Sequence[Mapping[str, Any]],
    evidence: Sequence[Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    planned: Sequence[Planned],
    refusals: Sequence[StoredRefusal] = (),
) -> list[Entry]:
    """Return everything known of a submission in the order of time."""
    found = [Entry(event["received_at"], "event", event) for event in events]
    found += [Entry(one["received_at"], "evidence", one) for one in evidence]
    found += [Entry(one.at, "refusal", {"refusal": one}) for one in refusals]
    for decision in decisions:
        found.append(Entry(decision["decided_at"], "decision", decision))
        found += [_attempt(attempt, decision) for attempt in decision["attempts"]]
    found += [
        Entry(one.ended_at or one.due_at, "planned", {"planned": one})
        for one in planned
        if one.undone_by or one.refusal
    ]
    return sorted(found, key=lambda entry: (entry.at, KINDS.index(entry.kind)))


def _attempt(attempt: Mapping[str, Any], decision: Mapping[str, Any]) -> Entry:
    at = attempt["at"]
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    # The first attempt has the time at which its transaction began, a little before the decision's own.
    return Entry(max(moment, decision["decided_at"]), "attempt", {**attempt, "decision_id": decision["id"]})


def explained(
    decision: Mapping[str, Any], kept: KeptFile | None, in_force: Mapping[str, tuple[str, str]]
) -> Explained:
    """Explain a decision from the rule file that made it. ``in_force`` is hash and text of each file by its name.

    Takes up to a tenth of a second of computing.
    """
    texts = _texts(decision["action"])
    if kept is None or decision["trigger"] == "person":
        return Explained(None, None, (), None, texts)
    name = decision["rule"] or "otherwise"
    excerpt = excerpts(kept.text).get(name)
    change = would_have_changed(decision, kept)
    file = parsed(kept)
    asked = {one.get("rule") for one in decision["trace"]}
    rest = tuple(rule.name for rule in file.rules if rule.name not in asked) if file else ()
    changed = _changed(decision, kept, name, excerpt, in_force)
    return Explained(excerpt, changed, rest, str(change) if change else None, texts)


def _changed(
    decision: Mapping[str, Any],
    kept: KeptFile,
    name: str,
    excerpt: Excerpt | None,
    in_force: Mapping[str, tuple[str, str]],
) -> str | None:
    now = in_force.get(kept.name)
    if now is None:
        return "The file is no longer in force."
    rules_hash, text = now
    if rules_hash == decision["rules_hash"]:
        return None
    current = excerpts(text).get(name)
    if current is None:
        return "The file in force no longer has this rule."
    if excerpt and current.text == excerpt.text:
        return "The file has changed since then, this rule has not."
    return "This rule has changed since then."


def _texts(action: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the text of a request that the participant reads."""
    body = (action or {}).get("body") or {}
    data = body.get("completion_code_data") or {}
    single = [body.get("message"), data.get("message_to_participant")]
    return tuple(text for text in (*single, *body.get("request_return_reasons", ())) if text)
