"""Events in any order, any number and at any moment: none is swallowed, none does anything twice."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.domain.submission import Status
from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.model import By
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.faults.replicas import replicas
from tests.integration.faults.stored import events, jobs, query
from tests.world import (
    EVIDENCE,
    MESSAGE,
    TOKEN,
    World,
    bearer,
    rules_text,
    signed,
    status_change,
    swept_just_now,
    until,
    write_rules,
)

REJECT_TWO = f"""
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""


async def test_events_that_come_in_the_wrong_order_lead_to_one_approval(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        for status in ("AWAITING REVIEW", "ACTIVE", "RESERVED", "AWAITING REVIEW", "TIMED-OUT"):
            assert (await world.tell(submission.id, status)).status_code == 202
        await world.settled(submission.id)
        await world.at_rest()
        assert [one["status"] for one in await world.decisions(submission.id)] == ["applied"]
        assert len(world.calls(submission.id)) == 1


async def test_end_event_before_its_start_event_gets_no_transition(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    async with start() as world:
        for status in (Status.APPROVED, Status.REJECTED, Status.RETURNED):
            with subtests.test(status.value):
                submission = world.completed()
                world.sandbox.meddle(submission, status, notify=False)
                await world.tell(submission.id, status.value)
                await world.tell(submission.id, "AWAITING REVIEW")
                await world.at_rest()
                assert await world.decisions(submission.id) == []
                assert world.calls(submission.id) == []
                assert all(row["handled_at"] for row in (await events(database_url)).values())


async def test_decided_submission_that_awaits_review_again_is_held(start: Start) -> None:
    """The webhook of the end is all that was ever heard of it, and it came first."""
    async with start() as world:
        submission = world.completed()
        await world.tell(submission.id, "REJECTED")
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["guard"]) == ("hold", "reopened")
        assert world.calls(submission.id) == []


async def test_repeated_event_counts_once(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        answers = await asyncio.gather(*(world.tell(submission.id, event_id="e-1") for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] * 9 + [202]
        await world.settled(submission.id)
        assert (await world.tell(submission.id, event_id="e-1")).status_code == 200
        await world.at_rest()
        assert list(await events(database_url)) == ["e-1"]
        assert len(await world.decisions(submission.id)) == 1
        assert world.prolific.seen.count("submission") == 1
        assert len(world.calls(submission.id)) == 1


async def test_many_events_of_one_submission_lead_to_one_transition(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        await asyncio.gather(*(world.tell(submission.id) for _ in range(12)))
        await world.at_rest()
        statuses = [one["status"] for one in await world.decisions(submission.id)]
        assert statuses.count("applied") == 1
        assert set(statuses) == {"applied"}
        assert len(world.calls(submission.id)) == 1
        assert all(row["handled_at"] for row in (await events(database_url)).values())


async def test_webhook_of_our_own_action_adds_nothing(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        await world.reviewed(submission)
        seen = list(world.prolific.seen)
        assert (await world.tell(submission.id, "APPROVED")).status_code == 202
        await world.at_rest()
        assert await jobs(database_url) == []
        assert world.prolific.seen == seen, "it is not even looked at"
        assert len(await world.decisions(submission.id)) == 1
        (told,) = [row for row in (await events(database_url)).values() if row["status"] == "APPROVED"]
        assert told["handled_at"]


async def test_late_event_from_before_our_action_changes_nothing(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        await world.reviewed(submission)
        await world.tell(submission.id, "AWAITING REVIEW")
        await world.at_rest()
        assert [one["status"] for one in await world.decisions(submission.id)] == ["applied"]
        assert len(world.calls(submission.id)) == 1


async def held_at_prolific(world: World, endpoint: str, seconds: float = 1.0) -> None:
    """Let the next call wait there."""
    world.prolific.add(Fault(endpoint, latency=seconds))


async def _under_way(world: World, endpoint: str, number: int = 1) -> None:
    async def asked() -> bool:
        return world.prolific.seen.count(endpoint) >= number

    await until(asked, f"{endpoint} to be asked")


async def test_evidence_that_comes_while_the_submission_is_fetched_is_read_by_that_review(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = world.completed()
        await held_at_prolific(world, "submission")
        await world.tell(submission.id)
        await _under_way(world, "submission")
        assert (await world.push(submission.id, {"attention_failed": 0})).status_code == 202
        decision = await world.settled(submission.id)
        assert (decision["outcome"], decision["trigger"]) == ("approve", "webhook")
        await world.at_rest()
        assert len(await world.decisions(submission.id)) == 1
        assert submission.status is Status.APPROVED
        assert await query(database_url, "SELECT 1 FROM evidence WHERE handled_at IS NULL") == []


async def test_a_webhook_that_comes_during_a_review_is_reviewed_after_it(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(otherwise="hold")) as world:
        submission = world.completed()
        await held_at_prolific(world, "submission")
        await world.tell(submission.id)
        await _under_way(world, "submission")
        await world.tell(submission.id)
        await world.settled(submission.id)
        assert world.prolific.seen.count("submission") == 2
        assert all(row["handled_at"] for row in (await events(database_url)).values())


async def test_evidence_that_comes_while_the_transition_is_sent_changes_it_no_more(start: Start) -> None:
    async with start(rules_text(REJECT_TWO)) as world:
        submission = world.completed()
        await held_at_prolific(world, "transition")
        await world.push(submission.id, {"attention_failed": 0})
        await _under_way(world, "transition")
        await world.push(submission.id, {"attention_failed": 2})
        await world.settled(submission.id)
        await world.at_rest()
        assert submission.status is Status.APPROVED
        assert len(world.calls(submission.id)) == 1


async def test_evidence_that_comes_before_a_refused_decision_is_sent_again_decides(
    start: Start, database_url: str
) -> None:
    """A plain no of Prolific's: it has not taken the rejection, so the later facts count."""
    async with start(rules_text(REJECT_TWO)) as world:
        world.prolific.add(Fault("transition", status=400))
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 2})
        await _under_way(world, "transition")
        await world.push(submission.id, {"attention_failed": 0})
        await world.settled(submission.id, decisions=2)
        found = [(one["outcome"], one["status"]) for one in await world.decisions(submission.id)]
        assert found == [("approve", "applied"), ("reject", "superseded")]
        assert [body["action"] for body in world.calls(submission.id)] == ["APPROVE"]


UNCLEAR: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502": {"status": 502, "body": b"<html>Bad Gateway</html>"},
    "2xx that is no JSON": {"status": 200, "body": b"<html>Maintenance</html>"},
    "reset": {"reset": True},
}


async def test_evidence_after_an_unclear_answer_sends_no_other_transition(
    start: Start, subtests: pytest.Subtests
) -> None:
    """It is unknown whether the rejection arrived: only the same may be sent again, and no fact supports it now."""
    async with start(rules_text(REJECT_TWO)) as world:
        for name, unclear in UNCLEAR.items():
            with subtests.test(name):
                sent = world.prolific.seen.count("transition")
                world.prolific.add(Fault("transition", **unclear))
                submission = world.completed()
                await world.push(submission.id, {"attention_failed": 2})
                await _under_way(world, "transition", sent + 1)
                await world.push(submission.id, {"attention_failed": 0})
                decision = await world.settled(submission.id, decisions=2)
                outcome = (decision["outcome"], decision["proposed"], decision["guard"])
                assert outcome == ("hold", "approve", "already_asked")
                assert world.prolific.seen.count("transition") == sent + 1
                assert submission.status is Status.AWAITING_REVIEW


async def test_timestamp_of_prolific_is_stored_as_received(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        for sent_at in ("1767225600", "1767225600123", "2026-01-01T00:00:00Z"):
            body = status_change(submission.id)
            headers = signed(body, event_id=sent_at) | {"X-Timestamp": sent_at}
            answer = await world.http.post("/webhooks/prolific", content=body, headers=headers)
            assert answer.status_code in {200, 202}
        kept = {name: row["sent_at"] for name, row in (await events(database_url)).items()}
        assert len(kept) == 3
        assert all(name == sent_at for name, sent_at in kept.items())


@dataclass
class Watched:
    """Prolific, noting which calls of one submission are under way at the same time."""

    app: ASGIApp
    under_way: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    at_once: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "/submissions/" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        submission = scope["path"].split("/")[4]
        self.under_way[submission] += 1
        self.most[submission] = max(self.most[submission], self.under_way[submission])
        self.at_once = max(self.at_once, sum(self.under_way.values()))
        try:
            await self.app(scope, receive, send)
        finally:
            self.under_way[submission] -= 1


async def test_two_workers_never_review_one_submission_at_once(database_url: str, tmp_path: Path) -> None:
    state = shipped_state(time_scale=1000.0, seed=7)
    state.faults.add(Fault(latency=0.1, count=None))
    prolific = Watched(create_app(state, token=TOKEN))
    submissions = []
    for _ in range(4):
        submission = state.reserve(STROOP, notify=False)
        state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
        submissions.append(submission)
    rules = write_rules(tmp_path / "rules", rules_text(REJECT_TWO))
    await swept_just_now(database_url)
    async with sandbox_running(prolific) as url, replicas(database_url, url, rules) as service:
        both = [await service.start(), await service.start()]
        for number in range(3):
            for submission in submissions:
                for replica in both:
                    body = status_change(submission.id)
                    headers = signed(body, event_id=uuid4().hex)
                    answer = await replica.http.post("/webhooks/prolific", content=body, headers=headers)
                    assert answer.status_code == 202
                    pushed = await replica.http.put(
                        f"/evidence/survey/{submission.id}",
                        json={"attention_failed": 0, "comment": str(number)},
                        headers=bearer(EVIDENCE),
                    )
                    assert pushed.status_code == 202

        async def at_rest() -> bool:
            return await jobs(database_url) == [] and all(
                one.status is Status.APPROVED for one in submissions
            )

        await until(at_rest, "all reviews to end")
    assert prolific.at_once > 1, "different ones are reviewed side by side"
    assert {prolific.most[one.id] for one in submissions} == {1}
    assert [len(state.calls_for(one.id)) for one in submissions] == [1] * 4
    assert all(change.by is not By.SOMEBODY for one in submissions for change in one.history)
