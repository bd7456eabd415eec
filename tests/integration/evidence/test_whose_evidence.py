"""Evidence about other participants, and evidence that changes after completion."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.app import Parts
from service.domain.decision import Decision, Guard, Mode, Outcome, Trigger
from service.domain.submission import Status
from service.review.judge import judge, propose
from service.review.known import CLOCK_MARGIN, Known
from service.review.limits import Usage
from service.rules import InvalidRules, load
from service.sandbox.model import SimSubmission
from service.store.history import VERSIONS
from tests.conftest import Start
from tests.unit.review.cases import NOW, ago, asked, known, submission, version
from tests.world import EVIDENCE, MESSAGE, World, bearer, rules_text, write_rules

RULES = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
  - name: failed one check
    when: evidence.survey.attention_failed == 1
    hold: A person should look.
"""
ANOTHER = "65f0000000000000000000aa"


async def conflicts(world: World) -> float:
    """Return the metric of ignored evidence."""
    lines = (await world.http.get("/metrics")).text.splitlines()
    (count,) = [line for line in lines if line.startswith("autoreview_evidence_conflicts_total")]
    return float(count.split()[1])


# Whose


async def test_evidence_about_another_participant_is_accepted_and_ignored(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = world.completed()
        answer = await world.push(one.id, {"attention_failed": 2, "participant_id": ANOTHER})
        assert answer.status_code == 202
        decision = await world.settled(one.id)
        assert (decision["outcome"], decision["guard"]) == ("hold", "undecidable")
        assert decision["facts"]["evidence"]["survey"] == {"received": False}
        assert world.calls(one.id) == []
        assert await conflicts(world) == 1


async def test_evidence_about_the_participant_decides_beside_ignored_evidence(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = world.completed()
        await world.push(one.id, {"attention_failed": 0, "participant_id": one.participant_id})
        assert (await world.settled(one.id))["outcome"] == "approve"
        assert await conflicts(world) == 0
        two = world.completed()
        await world.push(two.id, {"attention_failed": 1, "participant_id": two.participant_id})
        await world.settled(two.id)
        await world.push(two.id, {"attention_failed": 0, "participant_id": ANOTHER})
        await world.at_rest()
        (decision,) = await world.decisions(two.id)
        assert (decision["outcome"], decision["rule"]) == ("hold", "failed one check"), "the older one counts"
        shown = (await world.api(f"submissions/{two.id}"))["evidence"]
        assert [(each["payload"]["attention_failed"], each["conflict"]) for each in shown] == [
            (0, True),
            (1, False),
        ]
        assert await conflicts(world) == 0, "the repeated look recorded nothing"


async def test_evidence_before_the_first_fetch_is_checked_at_the_review(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = world.sandbox.reserve("60aca280709ee40ec37d4885", notify=False)
        await world.push(one.id, {"attention_failed": 2, "participant_id": ANOTHER})
        await world.push(one.id, {"attention_failed": 0, "participant_id": one.participant_id})
        await world.push(one.id, {"attention_failed": 2, "participant_id": ANOTHER})
        await world.at_rest()
        world.sandbox.complete(one, "C0L0UR12", time_taken=700, notify=False)
        await world.tell(one.id)
        assert (await world.settled(one.id))["status"] == "applied"
        assert one.status is Status.APPROVED


NO_IDS: list[object] = [1, True, ["a"], {}, "\x00"]


async def test_participant_id_that_is_no_text_is_422(start: Start, subtests: pytest.Subtests) -> None:
    async with start(rules_text(RULES), parts=Parts(worker=False)) as world:
        for given in NO_IDS:
            with subtests.test(given=given):
                body = json.dumps({"attention_failed": 0, "participant_id": given})
                answer = await world.http.put("/evidence/survey/abc", content=body, headers=bearer(EVIDENCE))
                assert answer.status_code == 422
                assert list(answer.json()["fields"]) == ["participant_id"]


async def test_participant_id_null_is_ignored(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = world.completed()
        await world.push(one.id, {"attention_failed": 0, "participant_id": None})
        assert (await world.settled(one.id))["outcome"] == "approve"


def test_participant_id_is_reserved_as_a_field_name(tmp_path: Path) -> None:
    text = rules_text().replace("comment: string", "participant_id: string")
    with pytest.raises(InvalidRules) as raised:
        load(write_rules(tmp_path, text))
    (finding,) = raised.value.findings
    assert "participant_id" in str(finding)
    assert "says whom a payload is about" in str(finding)


# Changed


async def decided_with_one_failed_check(world: World) -> SimSubmission:
    submission = world.completed()
    await world.push(submission.id, {"attention_failed": 1})
    await world.settled(submission.id)
    return submission


async def test_evidence_changed_for_the_worse_after_completion_is_held(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = await decided_with_one_failed_check(world)
        await world.push(one.id, {"attention_failed": 2})
        decision = await world.settled(one.id, decisions=2)
        found = (decision["outcome"], decision["proposed"], decision["guard"])
        assert found == ("hold", "reject", "conflicting_evidence")
        assert decision["reason"] == (
            "Source survey changed attention_failed after completion, and the outcome is worse for it: "
            "reject instead of hold."
        )
        assert [each["submission_id"] for each in (await world.api("holds"))["results"]] == [one.id]
        assert world.calls(one.id) == []


async def test_evidence_changed_for_the_worse_and_repeated_stays_held(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = await decided_with_one_failed_check(world)
        for number in range(VERSIONS + 2):
            await world.push(one.id, {"attention_failed": 2 + number % 2})
        await world.at_rest()
        decision = (await world.decisions(one.id))[0]
        assert (decision["outcome"], decision["guard"]) == ("hold", "conflicting_evidence")
        assert world.calls(one.id) == []


async def test_evidence_changed_for_the_better_decides(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = await decided_with_one_failed_check(world)
        await world.push(one.id, {"attention_failed": 0})
        assert (await world.settled(one.id, decisions=2))["status"] == "applied"


async def test_evidence_changed_before_completion_is_no_conflict(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = world.sandbox.reserve("60aca280709ee40ec37d4885", notify=False)
        await world.push(one.id, {"attention_failed": 0})
        await world.push(one.id, {"attention_failed": 2})
        await world.at_rest()
        world.sandbox.complete(one, "C0L0UR12", time_taken=700, notify=False)
        one.completed_at = datetime.now(UTC) + 2 * CLOCK_MARGIN  # what was sent till now came well before
        await world.tell(one.id)
        assert (await world.settled(one.id))["outcome"] == "reject"


async def test_open_request_comes_before_conflicting_evidence(start: Start) -> None:
    async with start(rules_text(RULES)) as world:
        one = world.completed()
        one.return_requested = datetime.now(UTC)
        await world.push(one.id, {"attention_failed": 1})
        await world.settled(one.id)
        await world.push(one.id, {"attention_failed": 2})
        assert (await world.settled(one.id, decisions=2))["guard"] == "already_asked"


# Pure: payloads newest first, a minute apart, the newest now


def judged(tmp_path: Path, about: Known) -> Decision:
    rule_file = load(write_rules(tmp_path, rules_text(RULES))).files[0]
    proposal = propose(about, rule_file, Mode.LIVE)
    decision, _ = judge(about, proposal, Usage(), Trigger.EVIDENCE)
    return decision


def sent(*payloads: dict[str, Any]) -> Known:
    versions = [version(NOW - timedelta(minutes=age), **payload) for age, payload in enumerate(payloads)]
    return known(submission(completed_at=ago(hours=1)), evidence=versions)


TWO: dict[str, Any] = {"attention_failed": 2}
ONE: dict[str, Any] = {"attention_failed": 1}
NONE: dict[str, Any] = {"attention_failed": 0}
MISSING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("payloads", "guard"),
    [
        ([TWO], None),
        ([TWO, TWO], None),
        ([TWO, MISSING], None),
        ([TWO, {"attention_failed": None}], None),
        ([TWO, {"comment": "a"}], None),
        ([{**TWO, "comment": "b"}, {**TWO, "comment": "a"}], None),
        ([TWO, {"attention_failed": 3}], None),
        ([TWO, NONE], Guard.CONFLICTING_EVIDENCE),
        ([TWO, ONE], Guard.CONFLICTING_EVIDENCE),
        ([TWO, MISSING, NONE], Guard.CONFLICTING_EVIDENCE),
        ([TWO, TWO, NONE], Guard.CONFLICTING_EVIDENCE),
        ([TWO, *[TWO] * 8, NONE], Guard.CONFLICTING_EVIDENCE),
    ],
)
def test_each_earlier_value_counts_for_a_conflict_but_a_missing_one_does_not(
    tmp_path: Path, payloads: list[dict[str, Any]], guard: Guard | None
) -> None:
    decision = judged(tmp_path, sent(*payloads))
    assert (decision.proposed, decision.guard) == (Outcome.REJECT, guard)


@pytest.mark.parametrize("payloads", [[NONE, TWO], [NONE, ONE], [ONE, NONE], [ONE, TWO], [MISSING, NONE]])
def test_outcome_no_worse_than_a_hold_is_never_a_conflict(
    tmp_path: Path, payloads: list[dict[str, Any]]
) -> None:
    assert judged(tmp_path, sent(*payloads)).guard is not Guard.CONFLICTING_EVIDENCE


def test_pending_request_to_return_comes_before_conflicting_evidence(tmp_path: Path) -> None:
    versions = [version(NOW, **TWO), version(ago(minutes=1), **NONE)]
    pending = known(submission(completed_at=ago(days=1)), evidence=versions, asked=asked(ago(hours=1)))
    assert judged(tmp_path, pending).guard is Guard.ALREADY_ASKED
    over = known(submission(completed_at=ago(days=9)), evidence=versions, asked=asked(ago(days=8)))
    assert judged(tmp_path, over).guard is Guard.CONFLICTING_EVIDENCE


def test_evidence_before_completion_is_not_compared(tmp_path: Path) -> None:
    completed = ago(hours=1)
    for age, guard in (
        (CLOCK_MARGIN, Guard.CONFLICTING_EVIDENCE),
        (CLOCK_MARGIN + timedelta(seconds=1), None),
    ):
        versions = [version(NOW, **TWO), version(completed - age, **NONE)]
        about = known(submission(completed_at=completed), evidence=versions)
        assert judged(tmp_path, about).guard is guard
