"""A repeated look at a submission adds no decision unless the outcome of a rule changes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from service.domain.decision import Trigger
from service.domain.submission import Status
from service.manual.pause import resume
from service.sandbox.faults import Fault
from service.sandbox.model import By, SimSubmission
from service.sandbox.studies import STROOP
from service.store.queue import enqueue_reviews
from tests.conftest import Start
from tests.integration.review.limiting import Ahead, make_due, timer
from tests.integration.review.stale import told
from tests.world import MESSAGE, World, rules_text

ASKS = f"""
  - name: silent after two missed checks
    when: evidence.survey.attention_failed >= 2 && submission.return_requested && now > submission.return_requested_at + duration("160h")
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
  - name: missed two checks
    when: evidence.survey.attention_failed >= 2
    request_return: {{reasons: ["You missed two checks."]}}
    recheck_after: 7d
  - name: missed one check
    when: evidence.survey.attention_failed == 1
    hold: A person should look.
"""
RULES = rules_text(ASKS, otherwise="hold")


def answer_to(submission: SimSubmission, status: str) -> bytes:
    """Prolific's answer to a request to return; in its own example the status is RETURNED."""
    asked_at = "2026-01-01T10:00:00Z"
    shown = {"id": submission.id, "status": status, "participant": submission.participant_id}
    return json.dumps(shown | {"return_requested": asked_at}).encode()


@dataclass
class Look:
    """A submission and all that makes the service look at it."""

    world: World
    clock: Ahead
    submission: SimSubmission = field(init=False)

    def __post_init__(self) -> None:
        self.submission = self.world.completed()

    async def push(self, attention_failed: int) -> None:
        await self.world.push(self.submission.id, {"attention_failed": attention_failed})
        await self.world.at_rest()

    async def tell(self, status: str = "AWAITING REVIEW") -> None:
        await self.world.tell(self.submission.id, status)
        await self.world.at_rest()

    async def enqueue(self, trigger: Trigger) -> None:
        """As a sweep, new rules or a timer do."""
        async with self.world.service.database.begin() as connection:
            await enqueue_reviews(connection, [self.submission.id], trigger)
        await self.world.at_rest()

    async def resume(self) -> None:
        async with self.world.service.database.begin() as connection:
            await resume(connection, STROOP, "Ada", "Looked at it.")
        await self.world.at_rest()

    async def decisions(self) -> list[dict[str, Any]]:
        return await self.world.decisions(self.submission.id)

    async def only(self) -> dict[str, Any]:
        (found,) = await self.decisions()
        return found


@asynccontextmanager
async def looking(start: Start, text: str = RULES, **options: Any) -> AsyncIterator[Look]:
    clock = Ahead()
    async with start(text, clock=clock, **options) as world:
        yield Look(world, clock)


@pytest.mark.parametrize("status", ["AWAITING REVIEW", "RETURNED"])
async def test_evidence_just_before_the_webhook_makes_no_false_hold(start: Start, status: str) -> None:
    """Also where Prolific's answer says RETURNED, although the submission still awaits review."""
    async with looking(start) as look:
        body = answer_to(look.submission, status)
        look.world.prolific.add(Fault("request-return", body=body, took_effect=True))
        one = look.submission
        await look.world.push(one.id, {"attention_failed": 2})
        await look.world.tell(one.id)
        await look.world.settled(one.id)
        await look.world.at_rest()
        assert told(await look.only()) == ("request_return", None, "applied")
        assert len(look.world.calls(one.id)) == 1
        assert (await look.world.api("holds"))["results"] == []
        shown = await look.world.api(f"submissions/{one.id}")
        assert shown["submission"]["status"] == "AWAITING REVIEW", "only a fetched status is believed"


@pytest.mark.parametrize("status", ["AWAITING REVIEW", "RETURNED"])
async def test_the_follow_up_acts_when_the_time_to_answer_is_over(start: Start, status: str) -> None:
    async with looking(start) as look:
        one, url = look.submission, look.world.service.database.url
        body = answer_to(one, status)
        look.world.prolific.add(Fault("request-return", body=body, took_effect=True))
        await look.push(2)
        await look.tell()
        await look.push(2)
        assert timer(url, one), "repeated looks leave the timer"
        look.clock.pass_(days=7, minutes=1)
        make_due(url, one)
        await look.world.settled(one.id, decisions=2)
        newest, first = await look.decisions()
        assert told(newest) == ("reject", None, "applied")
        assert (newest["trigger"], first["status"]) == ("recheck", "applied")
        assert one.status is Status.REJECTED


async def test_the_follow_up_acts_where_prolifics_clock_is_ahead(start: Start) -> None:
    """A rule that counts the same week as `recheck_after` finds it over by Prolific's clock only later."""
    async with looking(start, RULES.replace("160h", "168h")) as look:
        one, url = look.submission, look.world.service.database.url
        await look.push(2)
        assert one.return_requested
        one.return_requested += timedelta(seconds=30)
        look.clock.pass_(days=7, seconds=5)
        make_due(url, one)
        await look.world.at_rest()
        assert told(await look.only()) == ("request_return", None, "applied")
        at = timer(url, one)
        assert at
        assert at > one.return_requested + timedelta(days=7)
        look.clock.pass_(minutes=4)
        make_due(url, one)
        await look.world.settled(one.id, decisions=2)
        assert told((await look.decisions())[0]) == ("reject", None, "applied")


async def test_a_timer_that_is_early_is_set_again(start: Start) -> None:
    async with looking(start) as look:
        one, url = look.submission, look.world.service.database.url
        await look.push(2)
        make_due(url, one)
        await look.world.at_rest()
        assert told(await look.only()) == ("request_return", None, "applied")
        at = timer(url, one)
        assert at
        assert one.return_requested
        assert at > one.return_requested + timedelta(days=6, hours=23)


async def test_a_participant_who_returned_it_is_left_alone(start: Start) -> None:
    async with looking(start) as look:
        await look.push(2)
        look.world.sandbox.give_back(look.submission)
        await look.tell("RETURNED")
        await look.tell()
        await look.push(2)
        assert told(await look.only()) == ("request_return", None, "applied")
        assert timer(look.world.service.database.url, look.submission) is None


async def test_what_was_returned_and_awaits_review_again_is_for_a_person(start: Start) -> None:
    """That was fetched, and is believed."""
    async with looking(start) as look:
        await look.push(2)
        look.world.sandbox.give_back(look.submission)
        await look.tell()
        look.world.sandbox.change(look.submission, Status.AWAITING_REVIEW, By.SOMEBODY, notify=False)
        await look.tell()
        newest, _ = await look.decisions()
        assert told(newest) == ("hold", "reopened", "held")


async def test_evidence_that_changes_the_outcome_of_a_rule_is_decided(start: Start) -> None:
    """Once: each outcome of the rules adds one decision, however often it is looked at."""
    async with looking(start) as look:
        await look.push(2)
        await look.push(1)
        assert [one["outcome"] for one in await look.decisions()] == ["hold", "request_return"]
        await look.push(1)
        await look.tell()
        assert len(await look.decisions()) == 2


# Any order of reviews


LOOKS = ("webhook", "evidence", "sweep", "rules", "recheck", "resume", "timer")
OUTCOMES = {0: "hold", 1: "hold", 2: "request_return"}  # by the number of missed checks


async def _look(look: Look, kind: str, missed: int) -> None:
    url = look.world.service.database.url
    match kind:
        case "webhook":
            await look.tell()
        case "evidence":
            await look.push(missed)
        case "resume":
            await look.resume()
        case "timer":
            if timer(url, look.submission):
                make_due(url, look.submission)
                await look.world.at_rest()
        case _:
            await look.enqueue(Trigger(kind))


@pytest.mark.parametrize("missed", OUTCOMES)
@pytest.mark.parametrize("seed", range(2))
async def test_any_sequence_of_looks_after_an_action_adds_no_decision(
    start: Start, seed: int, missed: int
) -> None:
    random = Random(seed)
    async with looking(start) as look:
        await look.push(missed)
        assert (await look.only())["outcome"] == OUTCOMES[missed]
        for number in range(20):
            kind = random.choice(LOOKS)
            look.clock.pass_(minutes=random.choice([0, 1, 60]))
            await _look(look, kind, missed)
            assert len(await look.decisions()) == 1, f"look {number} of seed {seed}: {kind}"
        assert len(look.world.calls(look.submission.id)) == (OUTCOMES[missed] == "request_return")


@pytest.mark.parametrize("seed", range(3))
async def test_only_evidence_that_changes_an_outcome_adds_a_decision(start: Start, seed: int) -> None:
    """Between looks of all kinds the evidence changes too: each change of what the rules say is one decision."""
    random = Random(seed)
    async with looking(start) as look:
        missed, number = 1, 1
        await look.push(missed)
        for step in range(16):
            kind = random.choice(LOOKS)
            if kind == "evidence" and missed != 2:
                missed, number = 1 - missed, number + 1
            await _look(look, kind, missed)
            assert len(await look.decisions()) == number, f"look {step} of seed {seed}: {kind}"
        assert look.world.calls(look.submission.id) == []
