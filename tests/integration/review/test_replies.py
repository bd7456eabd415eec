"""Who was asked to return a submission and wrote back is not judged by silence: a person reads it first."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.messages import MessageStyle
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.review.limiting import Ahead, make_due, rows
from tests.world import MESSAGE, World, rules_text, until

ASK = """
  - name: no consent
    when: submission.code_type == "NO_CONSENT" && !submission.return_requested
    request_return: {reasons: ["You did not consent."]}
    recheck_after: 7d
"""
SILENT = """
  - name: silent
    when: submission.code_type == "NO_CONSENT" && now > submission.return_requested_at + duration("160h")
    {}
"""
REJECT = f'reject: {{category: OTHER, message: "{MESSAGE}"}}'


def rules(then: str = REJECT, **options: Any) -> str:
    return rules_text(ASK + SILENT.format(then), **options)


@dataclass
class Asked:
    """A submission that was asked to return, and a service whose clock can be set ahead."""

    world: World
    submission: SimSubmission
    clock: Ahead

    def writes(self, **fields: Any) -> Any:
        """Let the participant write, by default now: after the request."""
        chosen = {"study_id": STROOP, "body": "I did consent!", **fields}
        return self.world.sandbox.write_message(self.submission.participant_id, **chosen)

    async def after(self, **time: float) -> dict[str, Any]:
        """What comes of it when the timer rings so much later."""
        before = len(await self.world.decisions(self.submission.id))
        self.clock.pass_(**time)
        make_due(self.world.service.database.url, self.submission)
        return await self.world.settled(self.submission.id, decisions=before + 1)

    @property
    def requested(self) -> Any:
        assert self.submission.return_requested
        return self.submission.return_requested


@asynccontextmanager
async def asked(start: Start, text: str | None = None, **options: Any) -> AsyncIterator[Asked]:
    clock = Ahead()
    async with start(text or rules(), clock=clock, **options) as world:
        submission = world.completed(code="N0THANKS")
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["status"]) == ("request_return", "applied")
        yield Asked(world, submission, clock)


def is_held_for_a_reply(decision: dict[str, Any], proposed: str = "reject") -> bool:
    found = {key: decision[key] for key in ("outcome", "guard", "proposed", "status", "action")}
    wanted = {"outcome": "hold", "guard": "replied", "proposed": proposed, "status": "held", "action": None}
    return found == wanted


async def test_unanswered_return_request_allows_a_rejection(start: Start) -> None:
    async with asked(start) as one:
        decision = await one.after(days=7, minutes=1)
        assert (decision["outcome"], decision["status"]) == ("reject", "applied")
        assert decision["trigger"] == "recheck"
        assert one.submission.status is Status.REJECTED


@pytest.mark.parametrize("style", [MessageStyle.LIVE, MessageStyle.SPEC])
async def test_who_wrote_since_is_not_rejected(start: Start, style: MessageStyle) -> None:
    async with asked(start) as one:
        one.world.sandbox.messages.style = style
        one.writes()
        decision = await one.after(days=7, minutes=1)
        assert is_held_for_a_reply(decision)
        assert decision["reason"] == (
            "The participant wrote a message after the request to return. Read it first."
        )
        assert one.submission.status is Status.AWAITING_REVIEW
        [held] = (await one.world.api("holds"))["results"]
        assert (held["submission_id"], held["guard"]) == (one.submission.id, "replied")


async def test_it_stays_held_however_often_it_is_reviewed(start: Start) -> None:
    async with asked(start) as one:
        one.writes()
        await one.after(days=7, minutes=1)
        await one.world.tell(one.submission.id)
        await one.world.at_rest()
        found = [decision["outcome"] for decision in await one.world.decisions(one.submission.id)]
        assert found == ["hold", "request_return"]
        assert one.submission.status is Status.AWAITING_REVIEW


@pytest.mark.parametrize("style", list(MessageStyle))
async def test_what_was_written_before_the_request_is_no_reply(start: Start, style: MessageStyle) -> None:
    async with asked(start) as one:
        one.world.sandbox.messages.style = style
        one.writes(at=one.requested - timedelta(seconds=2))
        assert (await one.after(days=7, minutes=1))["outcome"] == "reject"


async def test_what_is_of_another_study_is_no_reply(start: Start) -> None:
    async with asked(start) as one:
        one.writes(study_id=TWO_PARTS)
        assert (await one.after(days=7, minutes=1))["outcome"] == "reject"


async def test_what_names_no_study_counts_as_a_reply(start: Start) -> None:
    async with asked(start) as one:
        one.writes(study_id=None)
        assert is_held_for_a_reply(await one.after(days=7, minutes=1))


async def test_what_we_wrote_is_no_reply_nor_what_others_wrote_to_us(start: Start) -> None:
    async with asked(start) as one:
        messages = one.world.sandbox.messages
        messages.send(one.submission.participant_id, STROOP, "Please return it.")
        one.world.sandbox.write_message(uuid4().hex[:24], STROOP, "Somebody else.")
        assert (await one.after(days=7, minutes=1))["outcome"] == "reject"


async def test_event_without_a_time_uses_the_time_in_its_id(start: Start) -> None:
    async with asked(start) as one:
        one.world.sandbox.messages.style = MessageStyle.TIMELESS
        one.writes()
        assert is_held_for_a_reply(await one.after(days=7, minutes=1))


async def test_id_of_the_same_second_gives_no_order(start: Start) -> None:
    """An id has whole seconds: what was written a moment after the request looks older than it."""
    async with asked(start) as one:
        one.world.sandbox.messages.style = MessageStyle.TIMELESS
        one.submission.return_requested = one.requested.replace(microsecond=400_000)
        one.writes(at=one.requested + timedelta(milliseconds=500))
        assert is_held_for_a_reply(await one.after(days=7, minutes=1))


async def test_a_time_that_cannot_be_read_counts_as_a_reply(start: Start) -> None:
    """Neither time nor an id that has one, though it was written long before."""
    async with asked(start) as one:
        one.world.sandbox.messages.style = MessageStyle.TIMELESS
        one.writes(at=one.requested - timedelta(days=2)).id = "not-an-object-id"
        assert is_held_for_a_reply(await one.after(days=7, minutes=1))


@pytest.mark.parametrize("given", [{"datetime_created": "gestern"}, {"sent_at": 1577836800}])
async def test_a_time_in_an_unknown_form_counts_as_a_reply(start: Start, given: dict[str, Any]) -> None:
    """Whatever its id, of 2019, says."""
    async with asked(start) as one:
        sender = one.submission.participant_id
        row = {"id": "5e0000000000000000000001", "sender_id": sender, "data": {"study_id": STROOP}, **given}
        body = json.dumps({"results": [row]}).encode()
        one.world.prolific.add(Fault("messages", status=200, body=body, count=None))
        assert is_held_for_a_reply(await one.after(days=7, minutes=1))


async def test_a_sender_who_is_not_named_counts_as_the_participant(start: Start) -> None:
    async with asked(start) as one:
        one.world.sandbox.messages.send(one.submission.participant_id, STROOP, "Ours.").sender_id = ""
        assert is_held_for_a_reply(await one.after(days=7, minutes=1))


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_where_messages_may_not_be_read_it_is_held_with_the_reason(start: Start, status: int) -> None:
    async with asked(start) as one:
        one.world.prolific.add(Fault("messages", status, count=None))
        decision = await one.after(days=7, minutes=1)
        assert is_held_for_a_reply(decision)
        assert f"can't be looked up: HTTP {status}" in decision["reason"]


async def test_a_token_that_is_refused_for_all_holds_nothing(start: Start) -> None:
    """That is no news of this submission: it waits until there is a new token."""
    async with asked(start) as one:
        one.world.prolific.add(Fault("messages", 401), Fault("users", 401))
        one.clock.pass_(days=7, minutes=1)
        make_due(one.world.service.database.url, one.submission)

        async def refused() -> bool:
            return "users" in one.world.prolific.seen

        await until(refused, "the token to be refused")
        await one.world.at_rest()
        assert len(await one.world.decisions(one.submission.id)) == 1
        left = rows(
            one.world.service.database.url,
            "SELECT status, scheduled_at > now() AS later FROM procrastinate_jobs WHERE lock = %(lock)s",
            lock=one.submission.id,
        )
        assert left == [{"status": "todo", "later": True}]


@pytest.mark.parametrize("fault", [Fault("messages", 503), Fault("messages", body=b"<html>", status=200)])
async def test_where_prolific_fails_to_answer_it_is_tried_again(start: Start, fault: Fault) -> None:
    async with asked(start) as one:
        one.world.prolific.add(fault)
        decision = await one.after(days=7, minutes=1)
        assert (decision["outcome"], decision["status"]) == ("reject", "applied")
        assert one.world.prolific.seen.count("messages") == 2
        assert len(await one.world.decisions(one.submission.id)) == 2


async def test_a_reply_between_two_tries_is_seen(start: Start) -> None:
    """The rejection was refused at first; before it is sent again the messages are looked at again."""
    async with asked(start) as one:
        one.world.prolific.add(Fault("transition", 400))
        one.clock.pass_(days=7, minutes=1)
        make_due(one.world.service.database.url, one.submission)

        async def refused() -> bool:
            return "transition" in one.world.prolific.seen

        await until(refused, "the first try")
        one.writes()
        decision = await one.world.settled(one.submission.id, decisions=3)
        assert is_held_for_a_reply(decision)
        assert one.submission.status is Status.AWAITING_REVIEW


async def test_before_the_time_to_answer_is_over_no_messages_are_asked_for(start: Start) -> None:
    async with asked(start) as one:
        decision = await one.after(days=6, hours=20)
        assert (decision["guard"], decision["proposed"]) == ("already_asked", "reject")
        assert "messages" not in one.world.prolific.seen


async def test_request_of_another_person_counts_as_ours(start: Start) -> None:
    clock = Ahead()
    async with start(rules(), clock=clock) as world:
        submission = world.completed(code="N0THANKS")
        world.sandbox.ask_to_return(submission)
        one = Asked(world, submission, clock)
        one.writes()
        clock.pass_(days=8)
        assert is_held_for_a_reply(await world.reviewed(submission))


async def test_a_mere_timer_does_not_approve_over_a_reply(start: Start) -> None:
    async with asked(start, rules("approve:", otherwise="hold")) as one:
        one.writes()
        assert is_held_for_a_reply(await one.after(days=7, minutes=1), "approve")


async def test_timer_approves_without_a_reply(start: Start) -> None:
    async with asked(start, rules("approve:", otherwise="hold")) as one:
        decision = await one.after(days=7, minutes=1)
        assert (decision["outcome"], decision["status"]) == ("approve", "applied")


async def test_new_evidence_may_approve_over_a_reply(start: Start) -> None:
    consented = """
  - name: consented after all
    when: evidence.survey.consented == true
    approve:
"""
    async with start(rules_text(consented + ASK, otherwise="hold")) as world:
        submission = world.completed(code="N0THANKS")
        await world.push(submission.id, {"consented": False})
        decision = await world.settled(submission.id)
        assert decision["outcome"] == "request_return"
        one = Asked(world, submission, Ahead())
        one.writes()
        await world.push(submission.id, {"consented": True})
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["outcome"], decision["trigger"], decision["status"]) == (
            "approve",
            "evidence",
            "applied",
        )
        assert "messages" not in world.prolific.seen


@pytest.mark.parametrize("mode", ["observe", "approve-only"])
async def test_messages_are_not_fetched_if_nothing_would_be_sent(start: Start, mode: str) -> None:
    clock = Ahead()
    async with start(rules(), clock=clock, mode=mode) as world:
        submission = world.completed(code="N0THANKS")
        world.sandbox.ask_to_return(submission)
        clock.pass_(days=8)
        decision = await world.reviewed(submission)
        assert decision["proposed"] == "reject"
        assert "messages" not in world.prolific.seen
