"""The queue of what waits for a person, as the API gives it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from service.app import Parts
from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import By
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.holds import deadline
from tests.conftest import Start
from tests.integration.manual.orders import (
    APPROVED,
    HELD,
    HOLD,
    Later,
    held,
    order,
    queue,
    resolve,
    resolved,
)
from tests.world import ADMIN, MESSAGE, bearer, rules_text

RULES = f"""
  - name: no code
    when: submission.code_type == "NONE"
    hold: Look at the data.
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""


@pytest.mark.parametrize(
    ("completed_at", "expected"),
    [
        (datetime(2026, 1, 1, 10, 0, tzinfo=UTC), datetime(2026, 1, 22, tzinfo=UTC)),
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), datetime(2026, 1, 22, tzinfo=UTC)),
        (datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC), datetime(2026, 1, 22, tzinfo=UTC)),
        (datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 3, 21, tzinfo=UTC)),
        (
            datetime(2026, 3, 1, 20, 0, tzinfo=timezone(-timedelta(hours=6))),
            datetime(2026, 3, 23, tzinfo=UTC),
        ),
    ],
)
def test_the_deadline_is_the_21st_days_first_moment_in_greenwich(
    completed_at: datetime, expected: datetime
) -> None:
    assert deadline(completed_at) == expected


async def test_a_hold_says_since_when_why_and_until_when(start: Start) -> None:
    later = Later()
    async with start(rules_text(RULES), clock=later) as world:
        submission = await held(world, code=None)
        (decision,) = await world.decisions(submission.id)
        later.shift += timedelta(hours=5)
        (hold,) = (await world.api("holds"))["results"]
        assert submission.completed_at
        day = submission.completed_at.replace(hour=0, minute=0, second=0, microsecond=0)
        assert datetime.fromisoformat(hold["deadline"]) == day + timedelta(days=21)
        assert 5 * 3600 <= hold["age_s"] < 5 * 3600 + 60
        assert hold["since"] == decision["decided_at"]
        assert "Look at the data." in hold["reason"]
        told = {
            name: hold[name]
            for name in ("submission_id", "study_id", "guard", "rule", "proposed", "reason", "by")
        }
        assert told == {
            "submission_id": submission.id,
            "study_id": STROOP,
            "guard": None,
            "rule": "no code",
            "proposed": "hold",
            "reason": decision["reason"],
            "by": None,
        }


async def test_since_is_the_first_of_several_holds_in_a_row(start: Start) -> None:
    later = Later()
    async with start(rules_text(RULES), clock=later) as world:
        submission = await held(world)
        (first,) = await world.decisions(submission.id)
        assert first["guard"] == "undecidable"
        later.shift += timedelta(hours=2)
        await resolved(world, submission, HELD, by="Ada")
        later.shift += timedelta(hours=3)
        await resolved(world, submission, HELD, by="Bob")
        (hold,) = (await world.api("holds"))["results"]
        assert (hold["since"], hold["by"]) == (first["decided_at"], "Bob")
        assert 5 * 3600 <= hold["age_s"] < 5 * 3600 + 60


async def test_since_begins_anew_after_what_was_no_hold_for_a_person(start: Start) -> None:
    """Waiting for evidence, and a decision that failed, are no holds."""
    later = Later()
    async with start(
        rules_text(RULES).replace("from: push", "from: push\n    wait: 1h"), clock=later
    ) as world:
        submission = world.completed()
        assert (await world.reviewed(submission))["guard"] == "waiting"
        assert await queue(world) == []
        later.shift += timedelta(hours=2)
        await world.tell(submission.id)
        second = await world.settled(submission.id, decisions=2)
        assert second["guard"] == "undecidable"
        (hold,) = (await world.api("holds"))["results"]
        assert hold["since"] == second["decided_at"]
        world.prolific.add(Fault("transition", status=404))
        await resolved(world, submission, APPROVED)
        assert (await world.settled(submission.id, decisions=3))["status"] == "failed"
        assert await queue(world) == []
        last = await resolved(world, submission, HELD)
        (hold,) = (await world.api("holds"))["results"]
        assert hold["since"] == last["decided_at"]


async def test_queue_has_only_submissions_that_need_a_person(start: Start) -> None:
    async with start(HOLD) as world:
        decided, returned = await held(world), await held(world)
        stays = await held(world)
        await resolved(world, decided, APPROVED)
        await world.settled(decided.id, decisions=2)
        world.sandbox.change(returned, Status.RETURNED, By.PARTICIPANT, notify=False)
        await world.tell(returned.id, "returned")
        assert await queue(world) == [stays.id]


async def test_what_is_only_observed_is_not_in_the_queue(start: Start) -> None:
    async with start(HOLD, mode="observe") as world:
        await held(world)
        assert await queue(world) == []


async def test_a_webhook_that_comes_before_the_next_look_does_not_empty_the_queue(start: Start) -> None:
    """A returned and reopened submission is held, for any events before it was fetched again."""
    async with start(HOLD) as world:
        submission = await held(world)
        world.sandbox.meddle(submission, Status.RETURNED, notify=False)
        await world.tell(submission.id, "RETURNED")
        await world.at_rest()
        assert await queue(world) == []
        world.sandbox.meddle(submission, Status.AWAITING_REVIEW, notify=False)
        await world.tell(submission.id)
        await world.settled(submission.id, decisions=2)
        assert await queue(world) == [submission.id]
        assert (await resolve(world, submission, APPROVED)).status_code == 200


async def test_pages_are_newest_first_and_lead_to_the_end(start: Start) -> None:
    async with start(HOLD) as world:
        submissions = [(await held(world)).id for _ in range(5)]
        seen: list[str] = []
        url = "/api/holds?limit=2"
        while url:
            page = (await world.http.get(url, headers=bearer(ADMIN))).json()
            assert set(page) == {"results", "next"}
            assert 0 < len(page["results"]) <= 2
            seen += [row["submission_id"] for row in page["results"]]
            url = page["next"]
        assert seen == submissions[::-1]


async def test_pages_lead_on_while_the_queue_changes(start: Start) -> None:
    async with start(HOLD) as world:
        submissions = [(await held(world)).id for _ in range(4)]
        page = (await world.http.get("/api/holds?limit=2", headers=bearer(ADMIN))).json()
        await held(world)
        await resolved(world, world.sandbox.submissions[page["results"][1]["submission_id"]], APPROVED)
        rest = (await world.http.get(page["next"], headers=bearer(ADMIN))).json()
        assert [row["submission_id"] for row in rest["results"]] == [submissions[1], submissions[0]]
        assert rest["next"] is None


async def test_every_filter_narrows_the_queue(start: Start) -> None:
    both = rules_text(RULES).replace(STROOP, f"{STROOP}, {TWO_PARTS}")
    async with start(both) as world:
        empty = await held(world, code=None)
        unknown = await held(world)
        other = await held(world, study=TWO_PARTS, code="B0THPART")
        await order(world, "pause", by="Ada", reason="x")
        await world.push(other.id, {"attention_failed": 0})
        await world.settled(other.id, decisions=2)
        expected: list[tuple[dict[str, Any], list[str]]] = [
            ({}, [other.id, unknown.id, empty.id]),
            ({"study": STROOP}, [unknown.id, empty.id]),
            ({"study": TWO_PARTS}, [other.id]),
            ({"rule": "no code"}, [empty.id]),
            ({"guard": "undecidable"}, [unknown.id]),
            ({"guard": "paused"}, [other.id]),
            ({"guard": "undecidable", "rule": "no code"}, []),
            ({"study": "nobody's"}, []),
        ]
        for query, found in expected:
            assert await queue(world, **query) == found, query


async def test_a_wrong_parameter_is_422_and_named(start: Start) -> None:
    async with start(HOLD, parts=Parts(web=True, worker=False)) as world:
        for query, named in (
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("after=yesterday", "after"),
            ("colour=red", "colour"),
            ("study=%00", "NUL"),
            ("after=2026-01-01T00:00:00Z/%00", "NUL"),
        ):
            answer = await world.http.get(f"/api/holds?{query}", headers=bearer(ADMIN))
            assert (answer.status_code, named in answer.json()["message"]) == (422, True), query
