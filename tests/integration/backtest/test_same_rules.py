"""A backtest with the same rules reports no change, whatever guards and people made of their decisions."""

from pathlib import Path
from typing import Any

from service.backtest.comparison import Comparison
from service.backtest.run import backtest
from service.domain.decision import Outcome
from service.rules import load
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.manual.orders import APPROVED, HELD, REJECTED, resolved
from tests.integration.review.limiting import CODES, EACH, Ahead, make_due, pause_study, resume_study
from tests.world import MESSAGE, World, rules_text, write_rules

R, A, Q, H = Outcome.REJECT, Outcome.APPROVE, Outcome.REQUEST_RETURN, Outcome.HOLD
RULES = rules_text(
    f"""
  - name: looks at the pace
    when: submission.pace > 0.5
    hold: Only looked at.
    observe: true
  - name: did not answer
    when: submission.return_requested && now > submission.return_requested_at + duration("160h")
    reject: {{category: OTHER, message: "{MESSAGE}"}}
  - name: bot
    when: evidence.bots.score > 0.9
    hold: Look at the data.
{EACH}""",
    more="  bots: {from: push, fields: {score: double}, wait: 30m}\nhold_at_most: 72h",
)


async def decided(world: World, wanted: Outcome, score: float = 0.1) -> tuple[SimSubmission, str]:
    """Return a submission with evidence that leads to this outcome, and the outcome decided."""
    one = world.completed(code=CODES[wanted])
    assert (await world.push(one.id, {"score": score}, source="bots")).status_code == 202
    return one, (await world.settled(one.id))["outcome"]


async def fire_timer(world: World, one: SimSubmission) -> dict[str, Any]:
    """Let the submission's timer fire now; return the decision that follows."""
    before = len(await world.decisions(one.id))
    make_due(world.service.database.url, one)
    return await world.settled(one.id, decisions=before + 1)


async def compared(world: World, folder: Path) -> Comparison:
    book = load(write_rules(folder, RULES))
    async with world.service.database.connect() as connection:
        return (await backtest(connection, STROOP, book)).comparison


async def test_same_rules_differ_only_from_a_person_after_guards_timers_and_manual_decisions(
    start: Start, tmp_path: Path
) -> None:
    clock = Ahead()
    async with start(RULES, clock=clock) as world:
        late, waiting = world.completed(), world.completed()
        assert [(await world.reviewed(one))["guard"] for one in (late, waiting)] == ["waiting"] * 2
        expiring, asked, manual, rejected, kept = [
            (await decided(world, wanted, score))[0]
            for wanted, score in ((A, 0.95), (Q, 0.1), (H, 0.1), (H, 0.1), (H, 0.1))
        ]
        assert [(await decided(world, wanted))[1] for wanted in (R, R, R, A)] == [R, R, R, A]
        (beyond, outcome), (contrary, other) = await decided(world, R), await decided(world, R)
        assert (outcome, other) == (H, H), "the limit of rejections holds them"
        for one, action in ((manual, APPROVED), (rejected, REJECTED), (kept, HELD), (contrary, APPROVED)):
            await resolved(world, one, action)
        await pause_study(world)
        assert [(await decided(world, wanted))[1] for wanted in (R, A)] == [H, H]
        await resume_study(world)
        assert (await world.decisions(beyond.id))[0]["outcome"] == R
        clock.pass_(days=8)
        assert (await fire_timer(world, late))["guard"] == "undecidable"
        assert (await fire_timer(world, asked))["rule"] == "did not answer"
        assert (await fire_timer(world, expiring))["guard"] == "hold_expired"
        await pause_study(world)
        assert (await decided(world, A))[1] == H
        found = await compared(world, tmp_path / "same")
    changed = [(one.submission_id, one.new.outcome, one.contradicts) for one in found.changed]
    assert changed == [(contrary.id, R, True)]
    assert (found.submissions, found.old("undecided")) == (16, 0)
