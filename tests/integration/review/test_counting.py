"""What limits count, compared with a model over random histories: each submission once, by its newest decision."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision, Guard, Mode, Outcome, Trigger
from service.postgres.database import Database
from service.store.counting import DAY, Window, newest_outcomes, number_in_a_day, reward_in_a_day
from service.store.decisions import Recorded, record

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
STUDIES = ("study-1", "study-2")
SUBMISSIONS = [(f"submission-{number}", STUDIES[number % 2]) for number in range(9)]
DECISIONS = 80


def drawn(random: Random) -> Decision:
    """A decision of one of a few submissions, of any kind, within two days, in no order of time."""
    submission, study = random.choice(SUBMISSIONS)
    outcome = random.choice(list(Outcome))
    share = random.choice([None, 25, 50]) if outcome is Outcome.COMPLETE else None
    data = {"completion_code_data": {"percentage_of_reward": share}} if share else {}
    fields: dict[str, Any] = {
        "trigger": random.choice([*Trigger, Trigger.WEBHOOK, Trigger.EVIDENCE]),
        "mode": random.choice([Mode.OBSERVE, Mode.LIVE, Mode.LIVE, Mode.LIVE]),
        "guard": random.choice([None, None, None, Guard.WAITING, Guard.UNDECIDABLE]),
        "decided_at": NOW - timedelta(minutes=random.randrange(2 * 24 * 60)),
        "action": {"endpoint": "transition", "body": {"action": "COMPLETE", **data}},
        "facts": {"study": {"reward": random.choice([100, 150, 333])}},
    }
    return Decision(
        submission_id=submission, study_id=study, participant_id=None, outcome=outcome, proposed=outcome,
        rule=None, rule_file=None, rules_hash=None, reason="So it is.", **fields,
    )  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The contract's words, over all decisions in the order in which they were recorded."""

    decisions: list[Recorded]

    def newest(self, window: Window) -> list[Decision]:
        """The newest counting decision of each submission, the newest of all first."""
        found: dict[str, Decision] = {}
        for one in sorted(self.decisions, key=lambda one: -one.id):
            decision = one.decision
            counts = (
                one.id > window.after
                and decision.trigger is not Trigger.PERSON
                and decision.mode is not Mode.OBSERVE
                and decision.guard is not Guard.WAITING
                and decision.submission_id != window.without
                and window.study in {None, decision.study_id}
            )
            if counts:
                found.setdefault(decision.submission_id, decision)
        return list(found.values())

    def of_a_day(self, window: Window, *outcomes: Outcome) -> list[Decision]:
        newest = self.newest(window)
        return [one for one in newest if one.outcome in outcomes and one.decided_at > NOW - DAY]

    def reward(self, window: Window) -> Decimal:
        paid = self.of_a_day(window, Outcome.APPROVE, Outcome.COMPLETE)
        return sum((_reward(one) for one in paid), Decimal(0))


def _reward(decision: Decision) -> Decimal:
    assert decision.action
    data = decision.action["body"].get("completion_code_data", {})
    share: int = data.get("percentage_of_reward", 100)
    return Decimal(decision.facts["study"]["reward"]) * share / 100


@pytest.mark.parametrize("seed", range(5))
async def test_each_submission_counts_once_by_its_newest_decision(database_url: str, seed: int) -> None:
    random, database = Random(seed), Database(database_url)
    async with database.begin() as connection:
        decisions = [await record(connection, drawn(random)) for _ in range(DECISIONS)]
        model = Model(decisions)
        for _ in range(25):
            window = Window(
                study=random.choice([None, *STUDIES]),
                after=random.choice([0, 0, *(one.id for one in decisions)]),
                without=random.choice(["none of them", *(submission for submission, _ in SUBMISSIONS)]),
            )
            await _compare(connection, model, window, number=random.choice([0, 1, 3, 49]))
    await database.close()


async def test_a_review_that_failed_later_leaves_what_counts(database_url: str) -> None:
    database, window = Database(database_url), Window(study=STUDIES[0], after=0, without="another")
    rejected = replace(
        drawn(Random(1)), submission_id="one", study_id=STUDIES[0], trigger=Trigger.WEBHOOK, mode=Mode.LIVE, guard=None,
        outcome=Outcome.REJECT, decided_at=NOW,
    )  # fmt: skip
    async with database.begin() as connection:
        await record(connection, rejected)
        await record(connection, replace(rejected, study_id=None, outcome=Outcome.HOLD, action=None))
        assert await newest_outcomes(connection, window, 10) == (Outcome.REJECT,)
        assert await number_in_a_day(connection, window, Outcome.REJECT, NOW) == 1
    await database.close()


async def _compare(connection: AsyncConnection, model: Model, window: Window, number: int) -> None:
    newest = await newest_outcomes(connection, window, number)
    assert newest == tuple(one.outcome for one in model.newest(window)[:number]), window
    for outcome in (Outcome.REJECT, Outcome.REQUEST_RETURN):
        count = await number_in_a_day(connection, window, outcome, NOW)
        assert count == len(model.of_a_day(window, outcome)), window
    assert await reward_in_a_day(connection, window, NOW) == model.reward(window), window
