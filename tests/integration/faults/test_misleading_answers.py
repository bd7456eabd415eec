"""Answers that are well-formed and not what they seem: about another submission, of another status, of no end."""

import json
import time
from itertools import product
from typing import Any

import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import By, SimSubmission
from service.sandbox.studies import STROOP
from service.store.queue import enqueue_retry
from tests.conftest import Start
from tests.integration.faults.failing import ASK_OR_REJECT, applied, failed, status_of
from tests.integration.faults.stored import SOON, jobs, next_try, query, waits_until
from tests.jobs import make_due
from tests.world import World, rules_text, until

REJECT = ASK_OR_REJECT[ASK_OR_REJECT.index("  - name: failed two checks") :]


def body_of(submission: SimSubmission, **changes: Any) -> bytes:
    """A submission as the API shows it, or nearly so."""
    shown = {
        "id": submission.id,
        "study_id": STROOP,
        "participant": submission.participant_id,
        "status": "AWAITING REVIEW",
        "started_at": "2026-11-20T09:50:00Z",
        "completed_at": "2026-11-20T10:00:00Z",
        "entered_code": "C0L0UR12",
        "return_requested": None,
    }
    return json.dumps(shown | changes).encode()


async def an_hour_passes(url: str) -> None:
    """For what is looked at once an hour; and a decision is old enough for a sweep."""
    await query(url, "UPDATE reviews SET hour_began = hour_began - interval '61 minutes'")
    await query(url, "ALTER TABLE decisions DISABLE TRIGGER decisions_only_added")
    await query(url, "UPDATE decisions SET decided_at = decided_at - interval '61 minutes'")
    await query(url, "ALTER TABLE decisions ENABLE TRIGGER decisions_only_added")


async def a_day_of_trouble_passes(url: str) -> None:
    await query(url, "UPDATE reviews SET troubled_since = troubled_since - interval '24 hours'")
    await make_due(url)


async def becomes(world: World, submission: SimSubmission, *statuses: str) -> None:
    """Wait until its decision is of one of these statuses, whenever its jobs would be due."""

    async def look() -> bool:
        await make_due(world.service.database.url)
        return await status_of(world, submission.id) in statuses

    await until(look, f"{statuses}")


async def test_body_of_another_submission_never_rejects(start: Start, database_url: str) -> None:
    async with start(rules_text("\n" + REJECT)) as world:
        cheated, honest = world.completed(), world.completed()
        world.prolific.add(Fault("submission", body=body_of(honest)))
        await world.push(cheated.id, {"attention_failed": 2})
        assert await next_try(database_url, cheated.id) < SOON
        assert await world.decisions(honest.id) == []
        await make_due(database_url)
        await world.settled(cheated.id)
        assert (cheated.status, honest.status) == (Status.REJECTED, Status.AWAITING_REVIEW)
        assert world.calls(honest.id) == []


STATUSES = ("REJECTED", "AWAITING REVIEW", "PROCESSING", "PONDERED", "APPROVED", None)


async def test_status_in_a_2xx_is_believed_only_if_it_was_requested(
    start: Start, database_url: str, subtests: pytest.Subtests
) -> None:
    """If it is another status, or of another submission, the submission is fetched."""
    async with start() as world:
        for status, took_effect in product(STATUSES, (True, False)):
            with subtests.test(status, took_effect=took_effect):
                submission = world.completed()
                other = {"id": "another"} if status == "APPROVED" else {}
                body = body_of(submission, status=status, **other)
                world.prolific.add(Fault("transition", body=body, took_effect=took_effect))
                await world.tell(submission.id)
                if not took_effect:
                    assert await next_try(database_url, submission.id) < SOON
                    assert await status_of(world, submission.id) == "pending"
                await becomes(world, submission, "applied", "already")
                (decision,) = await world.decisions(submission.id)
                assert decision["attempts"][0]["status_code"] == 200
                assert len(world.calls(submission.id)) == 1


async def test_2xx_without_content_is_no_answer(start: Start, subtests: pytest.Subtests) -> None:
    async with start() as world:
        for body in (b"", b"{}", b"null"):
            with subtests.test(repr(body)):
                world.prolific.add(Fault("transition", body=body, took_effect=True))
                await world.tell((submission := world.completed()).id)
                await becomes(world, submission, "already")
                assert len(world.calls(submission.id)) == 1


async def test_2xx_with_another_final_status_supersedes_the_decision(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        fault = Fault("transition", body=body_of(submission, status="REJECTED"), then_status=Status.REJECTED)
        world.prolific.add(fault)
        decision = await world.reviewed(submission)
        assert decision["status"] == "superseded"
        assert decision["attempts"][0]["answer"] == {"status": "REJECTED", "shown": "REJECTED"}
        assert submission.status is Status.REJECTED


RETURN_ANSWERS: dict[str, tuple[dict[str, Any], int]] = {
    "as documented": ({"status": "AWAITING REVIEW", "return_requested": None}, 1),
    "without an id": ({"id": None, "status": "AWAITING REVIEW"}, 1),
    "returned at once": ({"status": "RETURNED"}, 1),
    "with a time": ({"status": "PONDERED", "return_requested": "2026-11-20T11:00:00Z"}, 1),
    "of another end": ({"status": "APPROVED"}, 2),
}


async def test_request_to_return_is_made_if_its_answer_confirms_it(
    start: Start, subtests: pytest.Subtests
) -> None:
    async with start(rules_text(ASK_OR_REJECT)) as world:
        for name, (answer, sent) in RETURN_ANSWERS.items():
            with subtests.test(name):
                submission = world.completed(code=None)
                before = world.prolific.seen.count("request-return")
                world.prolific.add(Fault("request-return", body=body_of(submission, **answer)))
                decision = await world.reviewed(submission)
                assert (decision["outcome"], decision["status"]) == ("request_return", "applied")
                assert world.prolific.seen.count("request-return") == before + sent


async def test_2xx_without_effect_repeats_the_same_request_and_fails_after_a_day(
    start: Start, database_url: str
) -> None:
    async with start(rules_text("\n" + REJECT)) as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", body=body_of(submission), count=None))
        await world.push(submission.id, {"attention_failed": 0})
        for longest in (2, 4, 8):
            assert longest / 2 <= await next_try(database_url, submission.id) <= longest + 0.1
            await make_due(database_url)
            await under_way(database_url)
        await a_day_of_trouble_passes(database_url)
        await until(lambda: failed(world, submission.id), "it to be given up")
        assert await jobs(database_url) == []
        (decision,) = await world.decisions(submission.id)
        requests = {json.dumps(attempt["request"]) for attempt in decision["attempts"]}
        assert len(requests) == 1
        assert "AWAITING REVIEW" in decision["attempts"][-1]["answer"]["message"]


async def under_way(url: str) -> None:
    async def look() -> bool:
        return all(job["wait"] is not None and job["wait"] > 0 for job in await jobs(url))

    await until(look, "the try to end")


async def test_submission_in_processing_for_minutes_stays_pending(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", body=body_of(submission, status="PROCESSING")))
        world.prolific.add(Fault("transition", status=500, count=None))
        await world.tell(submission.id)
        await next_try(database_url, submission.id)
        world.sandbox.change(submission, Status.PROCESSING, By.API, notify=False)
        for _ in range(6):
            await make_due(database_url)
            await under_way(database_url)
            assert await status_of(world, submission.id) == "pending"
        assert world.prolific.seen.count("transition") == 1
        world.sandbox.change(submission, Status.APPROVED, By.API, notify=False)
        await make_due(database_url)
        assert (await world.settled(submission.id))["status"] == "already"


async def test_timed_out_submission_that_is_completed_is_approved(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        world.prolific.add(Fault("submission", body=body_of(submission, status="TIMED-OUT"), count=2))
        await world.tell(submission.id)
        assert await next_try(database_url, submission.id) < SOON
        await applied(world, [submission])
        assert len(await world.decisions(submission.id)) == 1


async def test_webhook_of_a_time_out_fetches_nothing(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = world.completed()
        world.sandbox.change(submission, Status.TIMED_OUT, By.PARTICIPANT, notify=False)
        assert (await world.tell(submission.id, "TIMED-OUT")).status_code == 202
        await world.at_rest()
        assert await jobs(database_url) == []
        assert "submission" not in world.prolific.seen


async def test_retry_after_of_a_503_delays_the_job_and_all_calls(start: Start, database_url: str) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=503, retry_after=120))
        first, other = world.completed(), world.completed()
        await world.tell(first.id)
        assert 115 <= await next_try(database_url, first.id) <= 122
        await world.tell(other.id)
        assert 30 <= await next_try(database_url, other.id) <= 91
        assert world.prolific.seen == ["submission"]


@pytest.mark.parametrize("said", [999999999, "1e14", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_retry_delay_is_at_most_an_hour(start: Start, database_url: str, said: int | str) -> None:
    async with start() as world:
        world.prolific.add(Fault("transition", status=429, retry_after=said))
        submission = world.completed()
        await world.tell(submission.id)
        assert 3500 <= await next_try(database_url, submission.id) <= 3602
        assert await status_of(world, submission.id) == "pending"


@pytest.mark.parametrize(
    "said", [0, -5, "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2026 00:00:00 -9999999999"]
)
async def test_invalid_retry_after_counts_as_none(start: Start, said: int | str) -> None:
    async with start() as world:
        world.prolific.add(Fault("submission", status=429, retry_after=said))
        limited, other = world.completed(), world.completed()
        await world.tell(limited.id)
        await until(lambda: asked(world, "submission", 1), "the first call")
        limited_at = time.monotonic()
        await world.tell(other.id)
        await until(lambda: asked(world, "submission", 2), "the next call")
        assert time.monotonic() - limited_at > 0.5
        await applied(world, [limited, other])


async def test_redirects_are_retried_for_a_day(start: Start, database_url: str) -> None:
    async with start() as world:
        world.prolific.add(Fault(status=302, count=None))
        submission = world.completed()
        await world.tell(submission.id)
        assert await next_try(database_url, submission.id) < SOON
        await query(
            database_url, "UPDATE reviews SET outages = 50, troubled_since = now() - interval '23 hours'"
        )
        await make_due(database_url)
        await under_way(database_url)
        assert await world.decisions(submission.id) == []
        world.prolific.clear()
        await applied(world, [submission])


async def test_unknown_token_owner_fails_nothing(start: Start, database_url: str) -> None:
    async with start() as world:
        world.prolific.add(Fault("users", status=500, count=None))
        world.prolific.add(Fault("transition", status=403, count=None))
        submission = world.completed()
        await world.tell(submission.id)

        async def seven_times() -> bool:
            await make_due(database_url)
            await query(database_url, "UPDATE reviews SET hour_began = now() - interval '2 hours'")
            return world.prolific.seen.count("transition") > 7

        await until(seven_times, "more tries than a refusal has")
        assert await status_of(world, submission.id) == "pending"
        assert (await world.decisions(submission.id))[0]["attempts"][0]["status_code"] == 403
        world.prolific.clear()
        await applied(world, [submission])


async def test_code_that_postgres_cannot_store_is_still_reviewed(
    start: Start, subtests: pytest.Subtests
) -> None:
    async with start() as world:
        for name, odd in {"NUL": chr(0), "a surrogate": chr(0xD800)}.items():
            with subtests.test(name):
                submission = world.completed()
                shown = body_of(submission, entered_code=f"C0{odd}DE")
                world.prolific.clear()
                world.prolific.add(Fault("submission", body=shown, count=None))
                decision = await world.reviewed(submission)
                assert decision["facts"]["submission"]["entered_code"] == "C0\ufffdDE"
                assert decision["facts"]["submission"]["code_type"] == "UNKNOWN"


async def failed_and_unconfirmed(world: World, url: str, *, took_effect: bool) -> SimSubmission:
    """A decision whose answer was lost at the beginning of an outage of a day."""
    submission = world.completed()
    world.prolific.add(Fault("transition", status=500, took_effect=took_effect))
    await world.tell(submission.id)
    await next_try(url, submission.id)
    world.prolific.add(Fault("submission", status=503, count=None))
    await a_day_of_trouble_passes(url)
    await until(lambda: failed(world, submission.id), "it to be given up")
    await world.at_rest()  # the decision is recorded before its job ends
    assert await jobs(url) == []
    return submission


async def test_sweep_settles_failed_requests_that_had_arrived(start: Start, database_url: str) -> None:
    async with start(sweep_every="1s") as world:
        submission = await failed_and_unconfirmed(world, database_url, took_effect=True)
        sweeps = world.prolific.seen.count("submissions")
        world.prolific.clear()
        await world.tell(submission.id, "APPROVED")
        await until(lambda: asked(world, "submissions", sweeps + 3), "sweeps within the hour")
        assert await status_of(world, submission.id) == "failed", "it was looked at lately"
        await an_hour_passes(database_url)
        await becomes(world, submission, "already")
        (decision,) = await world.decisions(submission.id)
        assert len(world.calls(submission.id)) == 1
        assert decision["attempts"][-1]["request"] is None, "settled, not sent"
        await until(lambda: counted_as_rescued(world), "the sweep to count it")


async def counted_as_rescued(world: World) -> bool:
    metrics = (await world.http.get("/metrics")).text
    return 'autoreview_sweep_rescued_total{cause="unconfirmed"} 1.0' in metrics


async def asked(world: World, kind: str, number: int) -> bool:
    return world.prolific.seen.count(kind) >= number


async def test_failed_request_that_never_arrived_stays_failed_and_is_checked_once_an_hour(
    start: Start, database_url: str
) -> None:
    """Also if its facts have changed since: only requested transitions are sent."""
    async with start(sweep_every="1s") as world:
        submission = await failed_and_unconfirmed(world, database_url, took_effect=False)
        sent = world.prolific.seen.count("transition")
        world.prolific.clear()
        submission.entered_code = "0THER"
        for _ in range(2):
            looks = world.prolific.seen.count("submission")
            await an_hour_passes(database_url)
            await until(lambda looks=looks: asked(world, "submission", looks + 1), "a look")  # type: ignore[misc]
            await world.at_rest()
            sweeps = world.prolific.seen.count("submissions")
            await until(lambda sweeps=sweeps: asked(world, "submissions", sweeps + 3), "sweeps")  # type: ignore[misc]
            assert world.prolific.seen.count("submission") == looks + 1
        assert await status_of(world, submission.id) == "failed"
        assert len(await world.decisions(submission.id)) == 1
        assert world.prolific.seen.count("transition") == sent


async def test_failed_request_is_settled_after_an_outage_of_days(start: Start, database_url: str) -> None:
    async with start(sweep_every="1s") as world:
        submission = await failed_and_unconfirmed(world, database_url, took_effect=True)
        await an_hour_passes(database_url)
        await next_try(database_url, submission.id)
        await a_day_of_trouble_passes(database_url)

        async def given_up() -> bool:
            return await jobs(database_url) == []

        await until(given_up, "the look to be given up")
        assert len(await world.decisions(submission.id)) == 1, "no other takes its place"
        world.prolific.clear()
        await an_hour_passes(database_url)
        await becomes(world, submission, "already")


async def test_sweep_leaves_refused_requests_alone(start: Start, database_url: str) -> None:
    async with start(sweep_every="1s") as world:
        world.prolific.add(Fault("transition", status=400, count=None))
        submission = world.completed()
        await world.tell(submission.id)
        await waits_until(database_url, submission.id, lambda: failed(world, submission.id))
        looks = world.prolific.seen.count("submission")
        await an_hour_passes(database_url)
        sweeps = world.prolific.seen.count("submissions")
        await until(lambda: asked(world, "submissions", sweeps + 3), "sweeps")
        assert world.prolific.seen.count("submission") == looks


async def test_retry_settles_a_request_that_had_arrived(start: Start, database_url: str) -> None:
    async with start() as world:
        submission = await failed_and_unconfirmed(world, database_url, took_effect=True)
        world.prolific.clear()
        async with world.service.database.begin() as connection:
            await enqueue_retry(connection, submission.id)
        await becomes(world, submission, "already")
        assert len(world.calls(submission.id)) == 1
