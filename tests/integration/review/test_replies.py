"""A participant's reply to a request to return holds the submission for a person to read."""

import json
from collections.abc import AsyncIterator, Callable
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


@asynccontextmanager
async def several_asked(start: Start, number: int) -> AsyncIterator[list[Asked]]:
    """So many submissions of one service that were asked to return, when the time to answer is over."""
    clock = Ahead()
    async with start(rules(more="limits: {reject: {share: 100%}}"), clock=clock) as world:
        submissions = [world.completed(code="N0THANKS") for _ in range(number)]
        for submission in submissions:
            assert (await world.reviewed(submission))["status"] == "applied"
            assert submission.return_requested
        clock.pass_(days=7, minutes=1)
        yield [Asked(world, submission, clock) for submission in submissions]


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


async def test_participant_who_replied_is_not_rejected(start: Start, subtests: pytest.Subtests) -> None:
    styles = (MessageStyle.LIVE, MessageStyle.SPEC)
    async with several_asked(start, len(styles)) as submissions:
        for style, one in zip(styles, submissions, strict=True):
            with subtests.test(style=style):
                one.world.sandbox.messages.style = style
                one.writes()
                decision = await one.after()
                assert is_held_for_a_reply(decision)
                assert decision["reason"] == (
                    "The participant wrote a message after the request to return. Read it first."
                )
                assert one.submission.status is Status.AWAITING_REVIEW
                held = (await one.world.api("holds"))["results"][0]
                assert (held["submission_id"], held["guard"]) == (one.submission.id, "replied")


async def test_hold_for_a_reply_is_recorded_once_for_repeated_reviews(start: Start) -> None:
    async with asked(start) as one:
        one.writes()
        await one.after(days=7, minutes=1)
        await one.world.tell(one.submission.id)
        await one.world.at_rest()
        found = [decision["outcome"] for decision in await one.world.decisions(one.submission.id)]
        assert found == ["hold", "request_return"]
        assert one.submission.status is Status.AWAITING_REVIEW


def write_before_the_request(one: Asked) -> None:
    one.writes(at=one.requested - timedelta(seconds=2))


def write_about_another_study(one: Asked) -> None:
    one.writes(study_id=TWO_PARTS)


def write_as_researcher_and_as_another_participant(one: Asked) -> None:
    one.world.sandbox.messages.send(one.submission.participant_id, STROOP, "Please return it.")
    one.world.sandbox.write_message(uuid4().hex[:24], STROOP, "Somebody else.")


NO_REPLIES: list[tuple[MessageStyle, Callable[[Asked], None]]] = [
    *((style, write_before_the_request) for style in MessageStyle),
    (MessageStyle.SPEC, write_about_another_study),
    (MessageStyle.SPEC, write_as_researcher_and_as_another_participant),
]


async def test_message_that_is_no_reply_allows_a_rejection(start: Start, subtests: pytest.Subtests) -> None:
    async with several_asked(start, len(NO_REPLIES)) as submissions:
        for (style, write), one in zip(NO_REPLIES, submissions, strict=True):
            with subtests.test(style=style, write=write.__name__):
                one.world.sandbox.messages.style = style
                write(one)
                assert (await one.after())["outcome"] == "reject"


def write_without_a_study(one: Asked) -> None:
    one.writes(study_id=None)


def write_after_the_request(one: Asked) -> None:
    one.writes()


def write_in_the_second_of_the_request(one: Asked) -> None:
    """An id has whole seconds: what was written a moment after the request looks older than it."""
    one.submission.return_requested = one.requested.replace(microsecond=400_000)
    one.writes(at=one.requested + timedelta(milliseconds=500))


def write_long_before_with_an_unreadable_id(one: Asked) -> None:
    """The message has neither a time nor an id that contains one."""
    one.writes(at=one.requested - timedelta(days=2)).id = "not-an-object-id"


def write_without_a_sender(one: Asked) -> None:
    one.world.sandbox.messages.send(one.submission.participant_id, STROOP, "Ours.").sender_id = ""


REPLIES: list[tuple[MessageStyle, Callable[[Asked], None]]] = [
    (MessageStyle.SPEC, write_without_a_study),
    (MessageStyle.TIMELESS, write_after_the_request),
    (MessageStyle.TIMELESS, write_in_the_second_of_the_request),
    (MessageStyle.TIMELESS, write_long_before_with_an_unreadable_id),
    (MessageStyle.SPEC, write_without_a_sender),
]


async def test_message_that_may_be_a_reply_counts_as_one(start: Start, subtests: pytest.Subtests) -> None:
    async with several_asked(start, len(REPLIES)) as submissions:
        for (style, write), one in zip(REPLIES, submissions, strict=True):
            with subtests.test(style=style, write=write.__name__):
                one.world.sandbox.messages.style = style
                write(one)
                assert is_held_for_a_reply(await one.after())


async def test_message_with_an_unknown_time_format_counts_as_a_reply(
    start: Start, subtests: pytest.Subtests
) -> None:
    """Its id, of 2019, does not decide."""
    times: list[dict[str, Any]] = [{"datetime_created": "gestern"}, {"sent_at": 1577836800}]
    async with several_asked(start, len(times)) as submissions:
        for given, one in zip(times, submissions, strict=True):
            with subtests.test(given=given):
                sender, data = one.submission.participant_id, {"study_id": STROOP}
                row = {"id": "5e0000000000000000000001", "sender_id": sender, "data": data, **given}
                body = json.dumps({"results": [row]}).encode()
                one.world.prolific.clear()
                one.world.prolific.add(Fault("messages", status=200, body=body, count=None))
                assert is_held_for_a_reply(await one.after())


async def test_refused_read_of_messages_holds_with_the_reason(
    start: Start, subtests: pytest.Subtests
) -> None:
    statuses = (400, 403, 404)
    async with several_asked(start, len(statuses)) as submissions:
        for status, one in zip(statuses, submissions, strict=True):
            with subtests.test(status=status):
                one.world.prolific.clear()
                one.world.prolific.add(Fault("messages", status, count=None))
                decision = await one.after()
                assert is_held_for_a_reply(decision)
                assert f"can't be looked up: HTTP {status}" in decision["reason"]


async def test_refused_token_postpones_the_review_without_a_hold(start: Start) -> None:
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


async def test_failed_read_of_messages_is_retried(start: Start, subtests: pytest.Subtests) -> None:
    faults = (Fault("messages", 503), Fault("messages", body=b"<html>", status=200))
    async with several_asked(start, len(faults)) as submissions:
        for fault, one in zip(faults, submissions, strict=True):
            with subtests.test(fault=fault):
                before = one.world.prolific.seen.count("messages")
                one.world.prolific.add(fault)
                decision = await one.after()
                assert (decision["outcome"], decision["status"]) == ("reject", "applied")
                assert one.world.prolific.seen.count("messages") == before + 2
                assert len(await one.world.decisions(one.submission.id)) == 2


async def test_reply_between_two_attempts_holds_the_rejection(start: Start) -> None:
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


async def test_messages_are_not_fetched_before_the_time_to_answer_is_over(start: Start) -> None:
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


async def test_timer_does_not_approve_after_a_reply(start: Start) -> None:
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
