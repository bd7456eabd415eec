"""Explain a submission: what would be decided now, with every rule and fact. Nothing is applied or written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, DecisionStatus, Facts, Mode, Trigger
from service.domain.submission import Status, Study, Submission
from service.errors import AutoreviewError
from service.prolific.client import Prolific
from service.prolific.errors import NotFound
from service.review.fact_sources import source_of
from service.review.gather import compared_with_others, usage_of
from service.review.judge import is_repeat, judge, propose
from service.review.known import Known, compared_since
from service.review.limits import ServiceLimits
from service.rules import RuleBook, RuleFile
from service.rules.counterfactual import Counterfactual, of_decision
from service.store.decisions import Recorded
from service.store.history import history_of

NOT_ASKED = "not asked"


class NothingToExplain(AutoreviewError):
    """Prolific knows no such submission, or no rule file claims its study."""

    code = "nothing_to_explain"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision that a review would make now.

    ``rules`` are all rules of the file, those after the deciding one with the result *not asked*. Each is
    ``{rule, result, why, conditions, facts: [{fact, value, source}]}``. ``last`` is the newest recorded decision,
    ``counterfactual`` the change of one fact that would change the outcome.
    """

    submission: Submission
    decision: Decision
    rules: tuple[dict[str, Any], ...]
    last: Recorded | None
    counterfactual: Counterfactual | None

    @property
    def summary(self) -> str:
        """Return one sentence, preceded by what keeps a review from deciding at all."""
        reason = self.decision.reason
        if self.submission.status is not Status.AWAITING_REVIEW:
            status = self.submission.status.value
            return f"Nothing would be decided, its status is {status}. If it awaited review: {reason}"
        if self.last and self.last.status is DecisionStatus.PENDING:
            return f"Decision {self.last.id} is still on its way to Prolific. A new one would be: {reason}"
        return reason

    @property
    def same_as_last(self) -> bool:
        """Return True if a review now would record no new decision."""
        return self.last is not None and is_repeat(self.last.decision, self.decision)


async def explain(
    submission_id: str,
    prolific: Prolific,
    connection: AsyncConnection,
    book: RuleBook,
    mode: Mode,
    service_limits: ServiceLimits,
) -> Explanation:
    """Decide as a review would, without its locks: limits are as of now. Raise NothingToExplain."""
    submission, study, rule_file = await _fetched(submission_id, prolific, book)
    # So that the database refuses whatever a later version might write here.
    await connection.execute(sa.text("SET TRANSACTION READ ONLY"))
    history = await history_of(
        connection,
        submission.id,
        study=submission.study_id,
        participant=submission.participant_id,
        sources=list(rule_file.evidence),
        rule_file=rule_file.path,
        since=compared_since(submission),
        holds_end=rule_file.hold_at_most is not None,
    )
    known = Known(submission, study, {}, history, history.now)
    known = await compared_with_others(connection, known, rule_file, keep=False)
    proposal = propose(known, rule_file, mode)
    usage = await usage_of(connection, proposal.outcome, known, rule_file, service_limits)
    decision, _ = judge(known, proposal, usage, Trigger.PERSON)
    at = {version.source: version.received_at for version in reversed(history.evidence)}
    change = of_decision(rule_file, decision.facts, decision.outcome, decision.guard)
    return Explanation(submission, decision, _rules(rule_file, decision, known, at), history.newest, change)


async def _fetched(
    submission_id: str, prolific: Prolific, book: RuleBook
) -> tuple[Submission, Study | None, RuleFile]:
    try:
        submission = await prolific.submission(submission_id)
    except NotFound:
        raise NothingToExplain(
            f"Prolific knows no submission {submission_id}, or does not show it to this token."
        ) from None
    study_id = submission.study_id or ""
    rule_file = book.file_for(study_id, submission.parent_study_id) if study_id else None
    if rule_file is None:
        raise NothingToExplain(f"No rule file claims study {study_id} of submission {submission.id}.")
    try:
        return submission, await prolific.study(study_id), rule_file
    except NotFound:
        return submission, None, rule_file


def _rules(
    rule_file: RuleFile, decision: Decision, known: Known, pushed: Mapping[str, datetime]
) -> tuple[dict[str, Any], ...]:
    asked = [
        {
            **{name: value for name, value in entry.items() if name != "values"},
            "facts": [_fact(name, value, known, pushed) for name, value in entry["values"].items()],
        }
        for entry in decision.trace
    ]
    after = rule_file.rules[len(asked) :]
    why = "an earlier rule decided"
    return (
        *asked,
        *({"rule": rule.name, "result": NOT_ASKED, "why": why, "facts": []} for rule in after),
    )


def _fact(name: str, value: Any, known: Known, pushed: Mapping[str, datetime]) -> Facts:
    return {"fact": name, "value": value, "source": source_of(name, known, pushed)}
