"""Runs a backtest over what the database knows of a study."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.backtest.comparison import Comparison
from service.backtest.facts import Gathered, PastFacts, facts_for, has_facts, known_until
from service.backtest.judged import Judged, Side, is_exact, recorded_outcome, reward_of, side_of
from service.backtest.running import RunningTimes
from service.domain.submission import Study
from service.errors import AutoreviewError
from service.review.facts import time_taken
from service.review.limits import pays
from service.review.statistics import stats_facts
from service.rulebook.recorded import parsed
from service.rules import RuleBook, RuleFile
from service.rules.rulefile import PARTICIPANT
from service.store.past import (
    AsOf,
    PastSubmission,
    about_study,
    evidence_until,
    participants_today,
    past_submissions,
)
from service.store.rulebooks import kept_file
from service.store.statistics import COUNTED
from service.store.submissions import load_study

Progress = Callable[[int, int], None]
"""Called with how many submissions were judged, and of how many."""


class NothingToCompare(AutoreviewError):
    """No submission of the study is known, or no rule file claims the study."""

    code = "nothing_to_compare"


@dataclass(frozen=True, slots=True)
class Wanted:
    """``against`` is another rule file that takes the place of what was decided."""

    study_id: str
    file: RuleFile
    against: RuleFile | None = None
    since: datetime | None = None


@dataclass(slots=True)
class Backtest:
    """One run over one connection."""

    connection: AsyncConnection
    wanted: Wanted
    study: Study | None
    is_listed: bool
    _files: dict[str, RuleFile | None] = field(default_factory=dict)
    _times: RunningTimes = field(default_factory=RunningTimes)

    async def judged(self) -> AsyncIterator[Judged]:
        """Yield each submission of the study, in the order of completion."""
        async for chunk in past_submissions(self.connection, self.wanted.study_id):
            # Statistics first: they are those of the completion, whatever is left out.
            stats = {past.submission.id: self._stats(past) for past in chunk}
            kept = [past for past in chunk if self._is_wanted(past)]
            for past, gathered in zip(kept, await self._gathered(kept), strict=True):
                stat = stats[past.submission.id]
                yield await self._judge(past, Gathered(gathered.payloads, stat, gathered.participant))

    def _is_wanted(self, past: PastSubmission) -> bool:
        since = self.wanted.since
        return since is None or known_until(past) >= since

    def _stats(self, past: PastSubmission) -> dict[str, object]:
        submission = past.submission
        if submission.completed_at is None:
            return {}
        before, taken = self._times.before(submission.completed_at), time_taken(submission)
        if taken is not None and submission.status in COUNTED:
            self._times.add(taken)
        return stats_facts(before, taken) if self.is_listed else {}

    async def _gathered(self, chunk: Sequence[PastSubmission]) -> list[Gathered]:
        files = [self.wanted.file, *([self.wanted.against] if self.wanted.against else [])]
        asked = [
            AsOf(past.submission.id, past.submission.participant_id, known_until(past)) for past in chunk
        ]
        sources = sorted({source for file in files for source in file.evidence})
        payloads = await evidence_until(self.connection, asked, sources)
        is_read = any(PARTICIPANT in file.groups for file in files)
        participants = await participants_today(self.connection, asked) if is_read else {}
        return [
            Gathered(payloads.get(one.submission_id, {}), None, participants.get(one.submission_id))
            for one in asked
        ]

    async def _judge(self, past: PastSubmission, gathered: Gathered) -> Judged:
        before = await self._deciding_file(past)
        facts = facts_for(past, self.wanted.file, before, self.study, gathered)
        new = side_of(self.wanted.file, facts.facts)
        old, is_manual = await self._old(past, before, gathered)
        return Judged(
            past.submission.id,
            old,
            new,
            reward_of(facts.facts),
            is_manual=is_manual,
            as_of_now=facts.rests_on_today(new.trace),
        )

    async def _old(
        self, past: PastSubmission, before: RuleFile | None, gathered: Gathered
    ) -> tuple[Side | None, bool]:
        if self.wanted.against:
            facts: PastFacts = facts_for(past, self.wanted.against, before, self.study, gathered)
            return side_of(self.wanted.against, facts.facts), False
        decision = past.decision
        if decision is None:
            return None, False
        if decision.is_manual:
            outcome = decision.outcome
        elif is_exact(decision.guard) or before is None or not has_facts(past):
            outcome = recorded_outcome(decision.proposed, decision.guard)
        else:
            outcome = side_of(before, decision.facts).outcome
        paid = pays(outcome, decision.action, reward_of(decision.facts))
        return Side(outcome, decision.rule, decision.reason, paid), decision.is_manual

    async def _deciding_file(self, past: PastSubmission) -> RuleFile | None:
        """Return the rule file that decided, as it was; read once."""
        found = past.decision.rules_hash if past.decision else None
        if found is None:
            return None
        if found not in self._files:
            kept = await kept_file(self.connection, found)
            self._files[found] = parsed(kept) if kept else None
        return self._files[found]


async def backtest(
    connection: AsyncConnection,
    study_id: str,
    book: RuleBook,
    *,
    against: RuleBook | None = None,
    since: datetime | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Judge the study's past submissions by the rules of a book; nothing is written.

    Compare with what was decided here, or with the rules of ``against``. Raises NothingToCompare.
    """
    about = await about_study(connection, study_id)
    if not about.submissions:
        raise NothingToCompare(f"No submission of study {study_id} was ever seen here.")
    file = claiming(book, study_id, about.parent_id)
    other = claiming(against, study_id, about.parent_id) if against else None
    wanted = Wanted(study_id, file, other, since)
    study = await load_study(connection, study_id)
    run = Backtest(connection, wanted, study, about.is_listed)
    found = Comparison.of(study_id, [rule.name for rule in file.rules])
    async for judged in run.judged():
        found.add(judged)
        if progress:
            progress(found.submissions, about.submissions)
    return found


def claiming(book: RuleBook, study_id: str, parent_id: str | None) -> RuleFile:
    """Return the file that decides a study. Raises NothingToCompare."""
    file = book.file_for(study_id, parent_id)
    if file is None:
        raise NothingToCompare(f"No rule file claims study {study_id}: name it under `studies`.")
    return file
