"""The start of a hold, for the list of holds and for ``hold_at_most``."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.decision import Decision, DecisionStatus, Guard, Mode, Outcome, Trigger
from service.domain.submission import Status, Submission
from service.postgres.database import Database
from service.store.decisions import add_answer, add_attempt, record
from service.store.history import history_of
from service.store.holds import list_holds
from service.store.submissions import save_submission

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SUBMISSION = Submission("s1", "study", "participant", Status.AWAITING_REVIEW)

Step = tuple[Outcome, Guard | None, Mode, Trigger, DecisionStatus | None]

HELD: Step = (Outcome.HOLD, None, Mode.LIVE, Trigger.WEBHOOK, None)
WAITING: Step = (Outcome.HOLD, Guard.WAITING, Mode.LIVE, Trigger.WEBHOOK, None)
OBSERVED: Step = (Outcome.HOLD, None, Mode.OBSERVE, Trigger.WEBHOOK, None)
BY_A_PERSON: Step = (Outcome.HOLD, None, Mode.LIVE, Trigger.PERSON, None)
BY_A_PERSON_WHILE_OBSERVING: Step = (Outcome.HOLD, None, Mode.OBSERVE, Trigger.PERSON, None)
EXPIRED_APPLIED: Step = (
    Outcome.APPROVE,
    Guard.HOLD_EXPIRED,
    Mode.LIVE,
    Trigger.RECHECK,
    DecisionStatus.APPLIED,
)
EXPIRED_FAILED: Step = (
    Outcome.APPROVE,
    Guard.HOLD_EXPIRED,
    Mode.LIVE,
    Trigger.RECHECK,
    DecisionStatus.FAILED,
)
EXPIRED_UNSENT: Step = (Outcome.APPROVE, Guard.HOLD_EXPIRED, Mode.LIVE, Trigger.RECHECK, None)
APPROVED: Step = (Outcome.APPROVE, None, Mode.LIVE, Trigger.WEBHOOK, DecisionStatus.FAILED)


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        ([HELD], 0),
        ([HELD, HELD], 0),
        ([WAITING, HELD], 1),
        ([OBSERVED, HELD], 1),
        ([HELD, APPROVED, HELD], 2),
        ([HELD, BY_A_PERSON], 0),
        ([BY_A_PERSON_WHILE_OBSERVING], 0),
        ([OBSERVED, BY_A_PERSON_WHILE_OBSERVING], 1),
        ([BY_A_PERSON_WHILE_OBSERVING, BY_A_PERSON], 0),
        ([HELD, EXPIRED_UNSENT, HELD], 0),
        ([HELD, EXPIRED_FAILED, HELD], 0),
        ([HELD, EXPIRED_APPLIED, HELD], 2),
    ],
)
async def test_held_since_is_the_first_decision_of_the_newest_run_of_holds(
    database_url: str, steps: Sequence[Step], first: int
) -> None:
    database = Database(database_url, pool_size=1)
    try:
        async with database.begin() as connection:
            await save_submission(connection, SUBMISSION, claimed=True)
            for hours, step in enumerate(steps):
                outcome, guard, mode, trigger, status = step
                recorded = await record(connection, decision(hours, outcome, guard, mode, trigger))
                if status:
                    attempt = await add_attempt(connection, recorded.id, {"endpoint": "transition"})
                    await add_answer(connection, attempt, status, 200, {})
            (listed,) = await list_holds(connection, datetime.now(UTC))
            history = await history_of(
                connection, SUBMISSION.id, study="study", participant="participant", holds_end=True
            )
    finally:
        await database.close()
    assert listed.since == history.held_since == BEGAN + timedelta(hours=first)


def decision(hours: int, outcome: Outcome, guard: Guard | None, mode: Mode, trigger: Trigger) -> Decision:
    return Decision(
        submission_id=SUBMISSION.id,
        study_id=SUBMISSION.study_id,
        participant_id=SUBMISSION.participant_id,
        decided_at=BEGAN + timedelta(hours=hours),
        trigger=trigger,
        outcome=outcome,
        proposed=outcome,
        guard=guard,
        rule=None,
        rule_file=None,
        rules_hash=None,
        mode=mode,
        action=None,
        reason="A reason.",
    )
