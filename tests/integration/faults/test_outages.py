"""The retry policy for failures that affect every call: no answer, an unreadable one, too many calls, the token."""

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from tests.conftest import Start
from tests.integration.faults.failing import ASK_OR_REJECT, applied, failed, put_off, retry, status_of
from tests.integration.faults.stored import SOON, jobs, next_try, query
from tests.jobs import make_due
from tests.world import TOKEN, rules_text, until

RUDE: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502 that is no JSON": {"status": 502, "body": b"<html>Bad Gateway</html>"},
    "503": {"status": 503},
    "2xx that is no JSON": {"status": 200, "body": b"<html>Maintenance</html>"},
    "2xx of another shape": {"status": 200, "body": b'["surprise"]'},
    "reset": {"reset": True},
    "half an answer": {"truncate": True},
}


async def test_429_delays_the_review_by_its_retry_after_and_pauses_all_calls(
    start: Start, database_url: str
) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=429, retry_after=1800))
        limited, other = world.completed(), world.completed()
        await world.tell(limited.id)
        assert 1795 <= await next_try(database_url, limited.id) <= 1802
        assert (await world.tell(other.id)).status_code == 202
        assert 30 <= await next_try(database_url, other.id) <= 91, "a minute at most, and a time of its own"
        assert world.prolific.seen == ["submission"], "nobody asks while all rest"
        assert (await world.http.get("/readyz")).status_code == 200


async def test_429_without_retry_after_pauses_all_calls_for_seconds(start: Start, database_url: str) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=429))
        limited, other = world.completed(), world.completed()
        await world.tell(limited.id)
        assert await next_try(database_url, limited.id) < SOON
        limited_at = time.monotonic()
        await world.tell(other.id)

        async def another() -> bool:
            return len(world.prolific.seen) > 1

        await until(another, "the next call")
        assert time.monotonic() - limited_at > 0.5
        await applied(world, [limited, other])


def answers(subtests: pytest.Subtests) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each of ``RUDE``, and if it leaves it unknown whether the request arrived; one subtest for each."""
    for name, took_effect in product(RUDE, (False, True)):
        with subtests.test(name, took_effect=took_effect):
            yield RUDE[name] | {"took_effect": took_effect}, took_effect or name == "half an answer"


async def test_transition_without_an_answer_is_tried_again_within_seconds_and_sent_once(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    async with start() as world:
        for answer, arrived in answers(subtests):
            world.prolific.add(Fault("transition", **answer))
            submission = world.completed()
            await world.tell(submission.id)
            assert await next_try(database_url, submission.id) < SOON
            assert await status_of(world, submission.id) == "pending"
            decision = await world.settled(submission.id)
            assert decision["status"] == ("already" if arrived else "applied")
            assert len(decision["attempts"]) == 2, decision["attempts"]
            assert submission.status is Status.APPROVED
            assert len(world.calls(submission.id)) == 1


async def test_return_is_requested_once_for_any_answer(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    async with start(rules_text(ASK_OR_REJECT)) as world:
        for answer, _ in answers(subtests):
            world.prolific.add(Fault("request-return", **answer))
            submission = world.completed(code=None)
            await world.tell(submission.id)
            await next_try(database_url, submission.id)
            decision = await world.settled(submission.id)
            assert decision["status"] in {"applied", "already"}
            assert submission.return_requested is not None
            assert len(world.calls(submission.id)) == 1


async def test_failed_fetches_are_tried_again(start: Start, database_url: str) -> None:
    async with start() as world:
        for endpoint in ("submission", "study"):
            world.prolific.add(Fault(endpoint, truncate=True))
        submission = world.completed()
        await world.tell(submission.id)
        assert await next_try(database_url, submission.id) < SOON
        await applied(world, [submission])
        assert len(world.calls(submission.id)) == 1


async def test_decision_fails_after_a_day_without_an_answer_and_retry_sends_it(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with start() as world:
        world.prolific.add(Fault("transition", status=503, count=None))
        submission = world.completed()
        await world.tell(submission.id)
        await next_try(database_url, submission.id)
        await query(database_url, "UPDATE reviews SET troubled_since = troubled_since - interval '24 hours'")
        await make_due(database_url)
        await until(lambda: failed(world, submission.id), "it to be given up")
        assert await jobs(database_url) == []
        world.prolific.clear()
        await retry(world, database_url, tmp_path, submission.id)
        assert (await world.settled(submission.id))["status"] == "applied"


async def test_refused_token_is_tried_by_one_call_at_a_time_and_a_new_one_at_once(
    start: Start, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("an-old-one")
    async with start(prolific_token=None, prolific_token_file=token) as world:
        submissions = [world.completed() for _ in range(8)]
        for submission in submissions:
            assert (await world.tell(submission.id)).status_code == 202
        await put_off(database_url, 8)
        assert all(job["wait"] <= 60 for job in await jobs(database_url)), "it is found out by itself"
        seen = len(world.prolific.seen)
        assert seen <= 8, "those under way, each with the question whose token it is"

        world.prolific.add(Fault(latency=0.5, count=None))

        async def asked_again() -> bool:
            await make_due(database_url)
            return len(world.prolific.seen) > seen

        await until(asked_again, "the call that looks")
        await make_due(database_url)
        await put_off(database_url, 8)
        assert len(world.prolific.seen) == seen + 1

        world.prolific.clear()
        token.write_text(TOKEN)
        began = time.monotonic()
        await applied(world, submissions)
        assert time.monotonic() - began < 10, "no rest is left of the old one's"
        assert [len(await world.decisions(one.id)) for one in submissions] == [1] * 8
    assert capsys.readouterr().out.count("prolific.token_refused") == 1


async def test_events_are_accepted_while_prolific_is_down_and_reviewed_afterwards(
    start: Start, database_url: str
) -> None:
    async with start() as world:
        world.prolific.down()
        submissions = [world.completed() for _ in range(12)]
        for submission in submissions:
            assert (await world.tell(submission.id)).status_code == 202
            assert (await world.push(submission.id, {"attention_failed": 0})).status_code == 202
        await put_off_at_least_once(database_url, 12)
        assert (await world.http.get("/readyz")).status_code == 200
        assert len(world.prolific.seen) <= 12, "not each of them finds out for itself"
        world.prolific.clear()
        await applied(world, submissions)
        assert all(len(world.calls(one.id)) == 1 for one in submissions)


async def put_off_at_least_once(url: str, number: int) -> None:
    async def look() -> bool:
        return len([job for job in await jobs(url) if job["attempts"]]) >= number

    await until(look, f"{number} reviews to be put off")
