"""Limits on what is done automatically: on by default, exact, also when many are reviewed at once."""

import asyncio
from datetime import UTC, datetime
from math import floor
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from service.domain.decision import (
    Action,
    Approve,
    Complete,
    Decision,
    Guard,
    Hold,
    Mode,
    Outcome,
    Reject,
    RequestReturn,
    Trigger,
    Verdict,
)
from service.domain.submission import Status, Submission
from service.manual.decide import ManualDecision, resolve
from service.manual.pause import resume
from service.postgres.database import Database
from service.review.gather import usage_of
from service.review.guards import Case, guard
from service.review.known import Known
from service.review.limits import ServiceLimits
from service.rules import RuleFile, load
from service.sandbox.faults import Fault
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.decisions import record
from service.store.history import history_of
from service.store.pauses import open_breaker
from tests.conftest import Start
from tests.integration.review.limiting import (
    CODES,
    REJECT_ALL,
    Ahead,
    decide,
    each,
    newest,
    of_both_studies,
    open_breakers,
    outcome,
    pause_rows,
    race,
)
from tests.world import MESSAGE, rules_text, write_rules

R, A, Q, H = Outcome.REJECT, Outcome.APPROVE, Outcome.REQUEST_RETURN, Outcome.HOLD


async def test_rules_that_reject_all_reject_three_and_hold_the_rest(start: Start) -> None:
    async with start(rules_text(REJECT_ALL, otherwise="hold")) as world:
        submissions = [world.completed() for _ in range(8)]
        for submission in submissions:
            await world.reviewed(submission)
        decisions = await newest(world, submissions)
        assert [decision["outcome"] for decision in decisions] == ["reject"] * 3 + ["hold"] * 5
        assert {decision["guard"] for decision in decisions[3:]} == {"limit.reject"}
        assert {decision["proposed"] for decision in decisions} == {"reject"}
        assert {decision["status"] for decision in decisions[:3]} == {"applied"}
        assert [submission.status for submission in submissions[3:]] == [Status.AWAITING_REVIEW] * 5


async def test_with_enough_decisions_a_share_of_them_may_be_rejections(start: Start) -> None:
    """Three are always allowed; the fourth needs twenty decisions with it."""
    async with start(each("limits: {reject: {share: 20%}}")) as world:
        for _ in range(3):
            assert await outcome(world, R) is R
        for _ in range(16):
            assert await outcome(world, A) is A
        assert await outcome(world, R) is R
        assert await outcome(world, R) is H
        [breaker] = (await world.api("status"))["breakers"]
        assert breaker["reason"] == (
            "5 rejections among the study's last 21 decisions would be more than the limit of 4."
        )


async def test_only_the_last_decisions_are_looked_at(start: Start) -> None:
    """Rejections that fell out of the last five make room for others."""
    async with start(each("limits: {reject: {share: 0%, of_last: 5}}")) as world:
        for wanted in (R, R, R, A, A):
            assert await outcome(world, wanted) is wanted
        assert await outcome(world, R) is R, "the first has fallen out"
        assert await outcome(world, A) is A
        assert await outcome(world, R) is R
        assert [await outcome(world, R) for _ in range(2)] == [R, H]


async def test_the_limit_is_exact_with_many_reviews_at_once(start: Start) -> None:
    async with start(rules_text(REJECT_ALL, otherwise="hold"), prolific_concurrency=8) as world:
        submissions = [world.completed() for _ in range(40)]
        await asyncio.gather(*(world.tell(one.id) for one in submissions))
        await world.at_rest()
        outcomes = [one["outcome"] for one in await newest(world, submissions)]
        assert (outcomes.count("reject"), outcomes.count("hold")) == (3, 37)


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [("", 3), ("limits: {reject: {share: 100%, per_day: 7}}", 7)],
    ids=["share", "per day"],
)
async def test_eight_replicas_together_reject_no_more_than_one_would(
    start: Start, database_url: str, limits: str, allowed: int
) -> None:
    async with start(rules_text(REJECT_ALL, more=limits)) as world:
        submissions = [world.completed() for _ in range(48)]
        decided = await race(world, submissions)
        assert [one.decision.outcome for one in decided] == [R] * allowed + [H] * (48 - allowed)
        assert {one.decision.guard for one in decided[allowed:]} == {Guard.LIMIT_REJECT}
        rejected = [one for one in submissions if one.status is Status.REJECTED]
        assert len(rejected) == allowed
        assert pause_rows(database_url) == [(STROOP, "open", "limit.reject")]


async def test_two_services_at_work_on_one_database_share_the_limit(start: Start, database_url: str) -> None:
    rules = rules_text(REJECT_ALL, more="limits: {reject: {share: 100%, per_day: 5}}")
    async with (
        start(rules, prolific_concurrency=8) as one,
        start(rules, prolific_concurrency=8, sandbox=one.sandbox) as other,
    ):
        submissions = [one.completed() for _ in range(40)]
        told = [(one, other)[place % 2].tell(each.id) for place, each in enumerate(submissions)]
        await asyncio.gather(*told)
        await one.at_rest()
        outcomes = [decision["outcome"] for decision in await newest(other, submissions)]
        assert (outcomes.count("reject"), outcomes.count("hold")) == (5, 35)
        assert await open_breakers(one) == await open_breakers(other) == [(STROOP, "limit.reject")]
    assert pause_rows(database_url) == [(STROOP, "open", "limit.reject")]


@pytest.mark.parametrize(("wanted", "name"), [(R, "reject"), (Q, "request_return")])
async def test_so_many_in_24_hours_and_no_more(start: Start, wanted: Outcome, name: str) -> None:
    share = "share: 100%, " if wanted is R else ""
    clock = Ahead()
    async with start(each(f"limits: {{{name}: {{{share}per_day: 2}}}}"), clock=clock) as world:
        assert await outcome(world, wanted) is wanted
        clock.pass_(hours=12)
        assert await outcome(world, wanted) is wanted
        clock.pass_(hours=12, minutes=1)  # the first is more than 24 hours old
        assert await outcome(world, wanted) is wanted
        clock.pass_(hours=11, minutes=58)
        recorded = await decide(world, world.completed(code=CODES[wanted]))
        assert (recorded.decision.outcome, recorded.decision.guard) == (H, Guard(f"limit.{name}"))
        assert "in 24 hours are the limit, and there were 2" in recorded.decision.reason
        assert await open_breakers(world) == [(STROOP, f"limit.{name}")]


async def test_a_limit_of_none_lets_none_through(start: Start) -> None:
    limits = "limits: {reject: {per_day: 0}, request_return: {per_day: 0}, approve: {reward_per_day: 0}}"
    async with start(each(limits)) as world:
        assert [await outcome(world, wanted) for wanted in (R, Q, A)] == [H, H, H]


async def test_each_study_has_its_own_window(start: Start) -> None:
    async with start(of_both_studies(rules_text(REJECT_ALL))) as world:
        for study in (STROOP, TWO_PARTS):
            decided = [await decide(world, world.completed(study=study)) for _ in range(4)]
            assert [one.decision.outcome for one in decided] == [R, R, R, H]
        assert set(await open_breakers(world)) == {(STROOP, "limit.reject"), (TWO_PARTS, "limit.reject")}


async def test_the_service_has_a_limit_over_all_studies(start: Start) -> None:
    generous = "limits: {reject: {share: 100%}}"
    rules = of_both_studies(each(generous, otherwise="hold"))
    async with start(rules, limit_reject_per_day=3, limit_request_return_per_day=1) as world:
        assert await outcome(world, R) is R
        assert await outcome(world, R, study=TWO_PARTS) is R
        assert await outcome(world, R) is R
        assert await outcome(world, Q) is Q
        for study, wanted in ((TWO_PARTS, R), (STROOP, R), (STROOP, Q)):
            assert await outcome(world, wanted, study=study) is H
        assert await open_breakers(world) == [(None, "limit.reject"), (None, "limit.request_return")]


async def test_eight_replicas_share_the_limit_over_all_studies(start: Start, database_url: str) -> None:
    rules = of_both_studies(rules_text(REJECT_ALL, more="limits: {reject: {share: 100%}}"))
    async with start(rules, limit_reject_per_day=6) as world:
        submissions = [world.completed(study=(STROOP, TWO_PARTS)[number % 2]) for number in range(48)]
        decided = await race(world, submissions)
        assert [one.decision.outcome for one in decided] == [R] * 6 + [H] * 42
        assert sum(one.status is Status.REJECTED for one in submissions) == 6
    assert pause_rows(database_url) == [(None, "open", "limit.reject")]


async def test_a_rejection_counts_once_recorded_though_it_was_never_applied(start: Start) -> None:
    async with start(rules_text(REJECT_ALL)) as world:
        world.prolific.add(Fault("transition", 404, count=None))
        failed = [await decide(world, world.completed()) for _ in range(3)]
        assert [(one.decision.outcome, one.status.value) for one in failed] == [(R, "failed")] * 3
        world.prolific.clear()
        assert await outcome(world, R) is H


async def test_a_rejection_counts_once_however_often_it_is_reviewed(start: Start) -> None:
    """The third of three is refused by Prolific at first, and reviewed again."""
    async with start(rules_text(REJECT_ALL)) as world:
        for _ in range(2):
            await decide(world, world.completed())
        world.prolific.add(Fault("transition", 400))
        submission = world.completed()
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("reject", "applied")
        assert [attempt["status_code"] for attempt in decision["attempts"]] == [400, 200]
        assert len(await world.decisions(submission.id)) == 1
        assert await open_breakers(world) == []


async def test_a_rejection_that_was_refused_is_held_if_a_breaker_opened_meanwhile(start: Start) -> None:
    async with start(rules_text(REJECT_ALL)) as world:
        for _ in range(2):
            await decide(world, world.completed())
        world.prolific.add(Fault("transition", 400))
        third = world.completed()
        await world.tell(third.id)
        async with asyncio.timeout(30):
            while not await world.decisions(third.id):
                await asyncio.sleep(0.02)
        assert await outcome(world, R) is H
        decision = await world.settled(third.id, decisions=2)
        assert (decision["outcome"], decision["guard"]) == ("hold", "limit.reject")
        assert third.status is Status.AWAITING_REVIEW


async def test_updates_of_held_submissions_make_no_room_for_rejections(start: Start) -> None:
    """Ten evidence updates on three held submissions between rejections: each submission counts once."""
    async with start(each()) as world:
        held = [world.completed(code=CODES[H]) for _ in range(3)]
        for one in held:
            assert (await decide(world, one)).decision.outcome is H
        decided = []
        for number in range(5):
            for update in range(10):
                one = held[update % 3]
                await world.push(one.id, {"attention_failed": 10 * number + update})
                await world.at_rest()
            decided.append(await outcome(world, R))
        assert decided == [R, R, R, H, H]
        assert sum([len(await world.decisions(one.id)) for one in held]) == 3 + 5 * 10
        assert await open_breakers(world) == [(STROOP, "limit.reject")]


async def test_observed_decisions_are_not_limited_and_do_not_count(start: Start) -> None:
    limits = {"limit_reject_per_day": 1, "limit_request_return_per_day": 1, "limit_reward_per_day": 1}
    async with start(each("limits: {approve: {reward_per_day: 1}}"), mode="observe", **limits) as world:
        for wanted in (R, Q, A):
            assert [await outcome(world, wanted) for _ in range(5)] == [wanted] * 5
        assert await open_breakers(world) == []
        sandbox = world.sandbox
        for one in sandbox.submissions.values():  # decided by another person, so that none is left to review
            sandbox.meddle(one, Status.APPROVED, notify=False)
    async with start(each(), sandbox=sandbox) as world:
        assert [await outcome(world, R) for _ in range(4)] == [R, R, R, H]


async def test_an_open_breaker_does_not_hold_what_is_only_observed(start: Start) -> None:
    async with start(rules_text(REJECT_ALL)) as world:
        assert [await outcome(world, R) for _ in range(4)] == [R, R, R, H]
        sandbox = world.sandbox
    async with start(rules_text(REJECT_ALL), mode="observe", sandbox=sandbox) as world:
        assert await outcome(world, R) is R


async def test_what_a_person_rejects_is_not_limited_and_does_not_count(start: Start) -> None:
    from service.domain.decision import Reject

    async with start(each()) as world:
        held = [world.completed(code=CODES[H]) for _ in range(5)]
        for one in held:
            await decide(world, one)
            async with world.service.database.begin() as connection:
                rejected = ManualDecision(one.id, Reject("OTHER", MESSAGE), "Ada", None, datetime.now(UTC))
                await resolve(connection, rejected)
        await world.at_rest()
        assert {one.status for one in held} == {Status.REJECTED}
        assert [await outcome(world, R) for _ in range(4)] == [R, R, R, H]


# What follows compares the limits with a model of them, over long stories that no one would think of.


class Model:
    """The contract's words: the outcomes that count, newest last, and whether the breaker is open."""

    def __init__(self, share: int, of_last: int, per_day: int) -> None:
        self.share, self.of_last, self.per_day = share, of_last, per_day
        self.counted: list[Outcome] = []
        self.is_open = False

    def takes(self, proposed: Outcome) -> Outcome:
        if proposed is R:
            last = [*self.counted, R][-self.of_last :]
            in_share = last.count(R) <= max(3, floor(self.share * len(last) / 100))
            self.is_open |= not (in_share and self.counted.count(R) < self.per_day)
        found = H if proposed is R and self.is_open else proposed
        self.counted.append(found)
        return found

    def resumed(self) -> None:
        if self.is_open:
            self.counted, self.is_open = [], False


def made(outcome: Outcome, rule_file: RuleFile, **other: Any) -> Decision:
    """A decision as the rules make it, of a submission of its own."""
    fields: dict[str, Any] = {
        "submission_id": uuid4().hex,
        "study_id": STROOP,
        "participant_id": None,
        "decided_at": datetime.now(UTC),
        "trigger": Trigger.WEBHOOK,
        "outcome": outcome,
        "proposed": outcome,
        "guard": None,
        "rule": None,
        "rule_file": rule_file.path,
        "rules_hash": rule_file.hash,
        "mode": Mode.LIVE,
        "action": None,
        "reason": "So it is.",
    }
    return Decision(**fields | other)


ACTIONS: dict[Outcome, Action] = {
    R: Reject("OTHER", MESSAGE),
    A: Approve(),
    Q: RequestReturn(("Please return it.",)),
    Outcome.COMPLETE: Complete(code="PARTLY"),
    H: Hold("Look at it."),
}


async def take(
    database: Database, rule_file: RuleFile, proposed: Outcome, *, study: str = STROOP, mode: Mode = Mode.LIVE
) -> Outcome:
    """Guard and record what rules propose for a new submission; return what stands."""
    submission = Submission(uuid4().hex, study, None, Status.AWAITING_REVIEW)
    action = ACTIONS[proposed]
    async with database.begin() as connection:
        history = await history_of(connection, submission.id, study=study, participant=None)
        known = Known(submission, None, {}, history, history.now)
        usage = await usage_of(connection, proposed, known, rule_file, ServiceLimits())
        verdict = Verdict(proposed, action, None, None, "So it is.", ())
        found = guard(Case(known, verdict, mode, usage, action))
        decision = made(
            found.action.outcome,
            rule_file,
            submission_id=submission.id,
            study_id=study,
            proposed=proposed,
            guard=found.guard,
            mode=mode,
        )
        recorded = await record(connection, decision)
        if found.opens:
            await open_breaker(connection, study, found.opens.guard, found.opens.reason, recorded.id)
    return found.action.outcome


@pytest.mark.parametrize("seed", range(6))
async def test_the_limit_is_what_the_contract_says_over_any_story(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    model = Model(
        random.choice([0, 10, 25, 33, 100]), random.choice([1, 5, 20, 50]), random.choice([5, 20, 60])
    )
    limit = f"{{share: {model.share}%, of_last: {model.of_last}, per_day: {model.per_day}}}"
    folder = write_rules(tmp_path, rules_text(more=f"limits: {{reject: {limit}}}"))
    rule_file = load(folder).files[0]
    database = Database(database_url)
    outcomes = [R, A, A, Q, Outcome.COMPLETE, H]
    for number in range(150):
        proposed = random.choice(outcomes)
        match random.randrange(12):
            case 0:
                async with database.begin() as connection:
                    await resume(connection, STROOP, "Ada", "Looked at it.")
                model.resumed()
            case 1:  # none of these count
                async with database.begin() as connection:
                    await record(connection, made(H, rule_file, proposed=proposed, guard=Guard.WAITING))
            case 2:
                assert await take(database, rule_file, proposed, mode=Mode.OBSERVE) is proposed
            case 3:
                async with database.begin() as connection:
                    await record(connection, made(proposed, rule_file, trigger=Trigger.PERSON, by="Ada"))
            case 4:
                await take(database, rule_file, R, study=TWO_PARTS)
            case _:
                found = await take(database, rule_file, proposed)
                assert found is model.takes(proposed), f"decision {number} of seed {seed}"
    assert R in model.counted or model.is_open
    await database.close()
