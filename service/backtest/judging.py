"""Judge past submissions one by one, with what the database knows of each."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.backtest.causes import Difference
from service.backtest.facts import Gathered, facts_for, has_facts, known_until
from service.backtest.judged import Judged, Side, is_exact, recorded_outcome, reward_of, shown_by, side_of
from service.backtest.limits import LimitSimulation
from service.backtest.running import RunningTimes
from service.backtest.sources import PastSource
from service.review.facts import time_taken
from service.review.limits import pays
from service.review.statistics import stats_facts
from service.rulebook.recorded import parsed
from service.rules import RuleFile
from service.rules.rulefile import PARTICIPANT, STATS
from service.store.past import AsOf, PastSubmission, evidence_until, participants_today
from service.store.rulebooks import kept_file
from service.store.shadow import ShadowDecision, shadow_of
from service.store.statistics import COUNTED


@dataclass(frozen=True, slots=True)
class Old:
    """The comparison: another rule file, Prolific's outcomes, or the decisions recorded here."""

    file: RuleFile | None = None
    is_prolific: bool = False


DECIDED = Old()


@dataclass(slots=True)
class Backtest:
    """A run. Without a database, ``connection`` is None: there are no decisions and no evidence."""

    connection: AsyncConnection | None
    source: PastSource
    file: RuleFile
    old: Old = DECIDED
    since: datetime | None = None
    limits: LimitSimulation | None = None
    causes: tuple[Difference, ...] = ()
    is_shadow: bool = False
    _files: dict[str, RuleFile | None] = field(default_factory=dict)
    _times: RunningTimes = field(default_factory=RunningTimes)

    async def judged(self) -> AsyncIterator[Judged]:
        """Yield each submission of the study, in the order of completion."""
        async for chunk in self.source.chunks():
            # Statistics first: they are those of the completion, whatever is left out.
            stats = {past.submission.id: self._stats(past) for past in chunk}
            kept = [past for past in chunk if self._is_wanted(past)]
            if self.is_shadow:
                for one in await self._by_shadow(kept):
                    yield one
                continue
            for past, gathered in zip(kept, await self._gathered(kept), strict=True):
                yield await self._judge(past, replace(gathered, stats=stats[past.submission.id]))

    async def _by_shadow(self, chunk: Sequence[PastSubmission]) -> list[Judged]:
        """Compare what was decided with what the shadow decided at the same time."""
        assert self.connection is not None, "shadow decisions are in the database"
        shadows = await shadow_of(self.connection, [past.submission.id for past in chunk])
        return [
            await self._beside(past, shadow)
            for past in chunk
            if past.decision and (shadow := shadows.get(past.submission.id))
        ]

    async def _beside(self, past: PastSubmission, shadow: ShadowDecision) -> Judged:
        decision = past.decision
        assert decision is not None, "only decisions are compared"
        assert shadow.outcome is not None, "only what the shadow decided is compared"
        reward = reward_of(decision.facts)
        paid = pays(shadow.outcome, None, reward)
        return Judged(
            past.submission.id,
            self._old(past, await self._deciding_file(past), Gathered({})),
            Side(shadow.outcome, shadow.rule, shadow.reason, paid, shadow.trace),
            reward,
            known_until(past),
            taken=time_taken(past.submission),
            decision_id=decision.id,
            is_manual=decision.is_manual,
        )

    def _is_wanted(self, past: PastSubmission) -> bool:
        return self.since is None or known_until(past) >= self.since

    def _stats(self, past: PastSubmission) -> dict[str, object]:
        """Count the submission, and return the statistics before it where rules read them and none is recorded."""
        submission = past.submission
        # Statistics are over completed submissions, in the order of completion.
        if submission.completed_at is None:
            return {}
        self._times.advance(submission.completed_at)
        taken = time_taken(submission)
        if taken is not None and submission.status in COUNTED:
            self._times.add(taken)
        recorded = past.decision.facts if past.decision else {}
        # From a part of the list, means and deviations would be those of a part.
        if STATS in recorded or not self._reads_stats or not self.source.is_complete:
            return {}
        return stats_facts(self._times.times(), taken)

    @property
    def _reads_stats(self) -> bool:
        return STATS in self.file.groups or (self.old.file is not None and STATS in self.old.file.groups)

    async def _gathered(self, chunk: Sequence[PastSubmission]) -> list[Gathered]:
        if self.connection is None:
            return [Gathered({}) for _ in chunk]
        files = [self.file, self.old.file] if self.old.file else [self.file]
        asked = [
            AsOf(past.submission.id, past.submission.participant_id, known_until(past)) for past in chunk
        ]
        sources = sorted({source for file in files for source in file.evidence})
        payloads = await evidence_until(self.connection, asked, sources)
        is_read = any(PARTICIPANT in file.groups for file in files)
        participants = await participants_today(self.connection, asked) if is_read else {}
        return [
            Gathered(payloads.get(one.submission_id, {}), participant=participants.get(one.submission_id))
            for one in asked
        ]

    async def _judge(self, past: PastSubmission, gathered: Gathered) -> Judged:
        before = await self._deciding_file(past)
        facts = facts_for(past, self.file, before, self.source.study, gathered)
        new, at = side_of(self.file, facts.facts), known_until(past)
        if self.limits:
            new = self.limits.apply(new, at)
        old = self._old(past, before, gathered)
        decision = None if self.old.file or self.old.is_prolific else past.decision
        return Judged(
            past.submission.id,
            old,
            new,
            reward_of(facts.facts),
            at,
            taken=time_taken(past.submission),
            decision_id=decision.id if decision else None,
            is_manual=decision is not None and decision.is_manual,
            as_of_now=facts.rests_on_today(new.trace),
        )

    def _old(self, past: PastSubmission, before: RuleFile | None, gathered: Gathered) -> Side | None:
        if self.old.file:
            return self._by_other_rules(self.old.file, past, before, gathered)
        if self.old.is_prolific:
            shown, study = shown_by(past.submission), self.source.study
            paid = pays(shown, None, study.reward if study else None) if shown else None
            return Side(shown, None, f"Prolific shows {past.submission.status}.", paid) if shown else None
        decision = past.decision
        if decision is None:
            return None
        if decision.is_manual:
            outcome = decision.outcome
        # With other guards the record does not say what the rules proposed: they are evaluated again.
        elif is_exact(decision.guard) or before is None or not has_facts(past):
            outcome = recorded_outcome(decision.proposed, decision.guard)
        else:
            outcome = side_of(before, decision.facts).outcome
        paid = pays(outcome, decision.action, reward_of(decision.facts))
        return Side(outcome, decision.rule, decision.reason, paid)

    def _by_other_rules(
        self, file: RuleFile, past: PastSubmission, before: RuleFile | None, gathered: Gathered
    ) -> Side:
        facts = facts_for(past, file, before, self.source.study, gathered).facts
        old = side_of(file, facts)
        for cause in self.causes:
            joined = facts_for(past, cause.variant, before, self.source.study, gathered).facts
            cause.add(past.submission.id, joined, old.outcome)
        return old

    async def _deciding_file(self, past: PastSubmission) -> RuleFile | None:
        """Return the rule file that decided, as it was; read once."""
        found = past.decision.rules_hash if past.decision else None
        if found is None or self.connection is None:
            return None
        if found not in self._files:
            kept = await kept_file(self.connection, found)
            self._files[found] = parsed(kept) if kept else None
        return self._files[found]
