"""The sweep finds what webhooks did not bring about, says why, and leaves alone what is left to people."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.domain.submission import Status, Submission
from service.sandbox.faults import Fault
from service.sandbox.hooks import STATUS_CHANGE
from service.sandbox.model import By, SimSubmission
from service.sandbox.state import WORKSPACE
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.schedule import claim
from service.store.submissions import save_submission
from service.sweep.sweeper import Sweeper
from tests.conftest import Start
from tests.process import autoreview, complete_settings
from tests.world import TOKEN, World, rules_text, until, write_rules

REJECT_ALL_HELD = "\n  - name: look at it\n    when: true\n    hold: Somebody should look.\n"


async def decided(world: World, submission: SimSubmission) -> dict[str, Any]:
    """Send a webhook; return the first decision, of the webhook or the sweep."""
    await world.tell(submission.id)
    return await world.settled(submission.id)


async def swept(world: World) -> dict[str, object]:
    """What the last sweep said, once one has ended."""

    async def look() -> dict[str, object] | None:
        sweep = (await world.api("status"))["sweep"]
        return sweep if sweep and sweep["ended_at"] else None

    found: dict[str, object] = await until(look, "a sweep to end")
    return found


async def test_a_submission_whose_webhook_never_came_is_reviewed(start: Start) -> None:
    async with start(sweeps=True, sweep_every="1s") as world:
        submission = world.completed()
        decision = await world.settled(submission.id)
        assert (decision["trigger"], decision["status"]) == ("sweep", "applied")
        assert submission.status is Status.APPROVED
        metrics = (await world.http.get("/metrics")).text
        assert 'autoreview_sweep_rescued_total{cause="webhook_missed"} 1.0' in metrics


async def test_the_first_sweep_is_at_the_start_and_the_next_when_its_time_has_come(
    start: Start, database_url: str
) -> None:
    async with start(sweeps=True, sweep_every="1h") as world:
        assert (await swept(world))["studies"] == 1
        submission = world.completed()
        seen = world.prolific.seen.count("submissions")
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("UPDATE turns SET began_at = began_at - interval '59 minutes'")
            await asyncio.sleep(2)  # two looks at the clock: it is not time yet
            assert world.prolific.seen.count("submissions") == seen
            await connection.execute("UPDATE turns SET began_at = began_at - interval '1 minute'")
        assert (await world.settled(submission.id))["trigger"] == "sweep"


async def test_of_many_replicas_that_look_at_once_one_has_the_turn(start: Start) -> None:
    from datetime import timedelta

    async with start() as world:

        async def look() -> bool:
            async with world.service.database.begin() as connection:
                return await claim(connection, "a chore", timedelta(hours=1))

        assert sorted(await asyncio.gather(*(look() for _ in range(8)))) == [False] * 7 + [True]


async def test_what_is_held_or_observed_is_left_alone(start: Start) -> None:
    async with start(rules_text(REJECT_ALL_HELD), sweep_every="1s") as world:
        submission = world.completed()
        assert (await decided(world, submission))["outcome"] == "hold"
        sweep = await swept(world)
        assert (sweep["awaiting_review"], sweep["enqueued"]) == (1, 0)
    async with start(mode="observe", sweep_every="1s") as world:
        submission = world.completed()
        assert (await decided(world, submission))["status"] == "observed"
        assert (await swept(world))["enqueued"] == 0


async def test_a_decision_that_was_never_sent_is_applied(start: Start, database_url: str) -> None:
    """The job is gone: the decision alone is enough to continue."""
    async with start(sweep_every="1s") as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", 400, count=None))
        await world.tell(submission.id)
        await until(lambda: _attempts(world, submission.id), "an attempt")
        await _lose_jobs(database_url)
        world.prolific.clear()
        assert (await world.settled(submission.id))["status"] == "applied"
        assert (await swept(world))["problems"] == []


async def test_a_transition_that_was_never_confirmed_is_confirmed(start: Start, database_url: str) -> None:
    async with start(sweep_every="1s") as world:
        submission = world.completed()
        world.prolific.add(Fault("transition", took_effect=True, reset=True))
        world.prolific.add(Fault("submission", 503, count=None, after=0.0))
        world.prolific.clear()
        world.prolific.add(Fault("transition", took_effect=True, reset=True))
        await world.tell(submission.id)
        await until(lambda: _attempts(world, submission.id), "an attempt")
        await _lose_jobs(database_url)
        assert (await world.settled(submission.id))["status"] in {"already", "applied"}
        assert len(world.calls(submission.id)) == 1


async def _attempts(world: World, submission: str) -> bool:
    found = await world.decisions(submission)
    return bool(found and found[0]["attempts"] and found[0]["attempts"][0]["answer"])


async def _lose_jobs(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def lost() -> bool:
            found = await connection.execute(
                "DELETE FROM procrastinate_jobs WHERE task_name = 'review' AND status = 'todo'"
            )
            return found.rowcount > 0

        await until(lost, "the job to wait for its next try")
        # A minute is left to what is on its way; decisions can't be changed, so the clock is.
        await connection.execute("ALTER TABLE decisions DISABLE TRIGGER decisions_only_added")
        await connection.execute("UPDATE decisions SET decided_at = decided_at - interval '2 minutes'")
        await connection.execute("ALTER TABLE decisions ENABLE TRIGGER decisions_only_added")


async def test_what_awaits_review_again_though_it_was_decided_is_held(
    start: Start, database_url: str
) -> None:
    async with start(sweep_every="1s") as world:
        submission = world.completed()
        assert (await decided(world, submission))["status"] == "applied"
        world.sandbox.change(submission, Status.AWAITING_REVIEW, By.SOMEBODY, notify=False)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("ALTER TABLE answers DISABLE TRIGGER answers_only_added")
            await connection.execute("UPDATE answers SET at = at - interval '2 minutes'")
            await connection.execute("ALTER TABLE answers ENABLE TRIGGER answers_only_added")
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["trigger"], decision["guard"]) == ("sweep", "reopened")
        assert len(world.calls(submission.id)) == 1


async def test_what_was_held_and_ended_without_a_word_leaves_the_queue(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(REJECT_ALL_HELD), sweep_every="1s") as world:
        gone, held = world.completed(), world.completed()
        for submission in (gone, held):
            assert (await decided(world, submission))["outcome"] == "hold"
        world.sandbox.change(gone, Status.RETURNED, By.PARTICIPANT, notify=False)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("UPDATE submissions SET seen_at = seen_at - interval '2 hours'")
            await connection.execute("UPDATE reviews SET hour_began = hour_began - interval '2 hours'")

        async def queue() -> bool:
            return [row["submission_id"] for row in (await world.api("holds"))["results"]] == [held.id]

        await until(queue, "the queue to be without it")
        await world.at_rest()
        metrics = (await world.http.get("/metrics")).text
        assert 'autoreview_sweep_rescued_total{cause="gone"} 1.0' in metrics
        assert len(await world.decisions(held.id)) == 1


async def test_what_prolific_knows_no_more_is_not_asked_for_at_every_sweep(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(REJECT_ALL_HELD), sweep_every="1s") as world:
        gone = world.completed()
        await decided(world, gone)
        world.sandbox.change(gone, Status.RETURNED, By.PARTICIPANT, notify=False)
        await world.at_rest()
        before = world.prolific.seen.count("submission")
        world.prolific.add(Fault("submission", 404, count=None))
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("UPDATE submissions SET seen_at = seen_at - interval '2 hours'")
            await connection.execute("UPDATE reviews SET hour_began = hour_began - interval '2 hours'")
        assert (await world.settled(gone.id, decisions=2))["status"] == "failed"
        swept_so_far = world.prolific.seen.count("submissions")
        await until(
            lambda: asyncio.to_thread(lambda: world.prolific.seen.count("submissions") >= swept_so_far + 3),
            "three more sweeps",
        )
        await world.at_rest()
        assert world.prolific.seen.count("submission") == before + 1


async def test_only_the_studies_that_are_set_are_looked_at(start: Start) -> None:
    rules = rules_text().replace("studies: [", f"studies: [{TWO_PARTS}, ")
    async with start(rules, sweeps=True, sweep_every="1s", studies=(TWO_PARTS,)) as world:
        other, ours = world.completed(), world.completed(study=TWO_PARTS, code="N4M1NG34")
        await world.settled(ours.id)
        assert await world.decisions(other.id) == []
        assert (await swept(world))["studies"] == 1


async def test_a_study_that_cannot_be_listed_keeps_no_other_from_it(start: Start) -> None:
    missing = "6f0000000000000000000000"
    rules = rules_text().replace("studies: [", f"studies: [{missing}, ")
    async with start(rules, sweeps=True, sweep_every="1s") as world:
        submission = world.completed()
        assert (await world.settled(submission.id))["trigger"] == "sweep"
        problems = (await swept(world))["problems"]
        assert isinstance(problems, list)
        assert missing in problems[0]


async def test_a_row_that_cannot_be_read_keeps_no_other_from_it(start: Start) -> None:
    async with start() as world:
        submission = world.completed()
        rows = [
            {"id": None, "status": "AWAITING REVIEW"},
            {"id": submission.id, "participant_id": "p", "status": "AWAITING REVIEW"},
            "nonsense",
        ]
        links = {"_links": {"next": {"href": None}}, "meta": {"count": 3}}
        world.prolific.add(
            Fault("submissions", body=json.dumps({"results": rows} | links).encode(), count=None)
        )
        swept = await sweeper(world).sweep()
        assert (swept.listed, swept.found.total()) == (1, 1)
        assert swept.problems == [
            f"study {STROOP}: Prolific's list is incomplete: 1 of 3 submissions could be read"
        ]
        assert (await world.settled(submission.id))["trigger"] == "sweep"


async def test_a_list_with_rows_missing_finds_what_it_shows_and_nothing_is_taken_for_gone(
    start: Start, database_url: str
) -> None:
    async with start(rules_text(REJECT_ALL_HELD)) as world:
        held, missed = world.completed(), world.completed()
        assert (await decided(world, held))["outcome"] == "hold"
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("UPDATE submissions SET seen_at = seen_at - interval '2 hours'")
            await connection.execute("UPDATE reviews SET hour_began = hour_began - interval '2 hours'")
        row = {"id": missed.id, "participant_id": "p", "status": "AWAITING REVIEW"}
        body = {"results": [row], "_links": {"next": {"href": None}}, "meta": {"count": 2}}
        world.prolific.add(Fault("submissions", body=json.dumps(body).encode(), count=None))
        swept = await sweeper(world).sweep()
        assert swept.found == {"webhook_missed": 1}
        assert swept.listed == 1
        (problem,) = swept.problems
        assert problem.endswith("1 of 2 submissions could be read")
        assert (await world.settled(missed.id))["trigger"] == "sweep"
        world.prolific.clear()
        assert (await sweeper(world).sweep()).problems == []


async def test_a_part_of_a_study_is_swept_by_the_rules_of_its_parent(start: Start) -> None:
    async with start() as world:
        child = world.sandbox.add_study({"name": "One quota"})
        seen = Submission("known", child.id, None, Status.APPROVED, parent_study_id=STROOP)
        async with world.service.database.begin() as connection:
            await save_submission(connection, seen, claimed=True)
        world.completed(study=child.id)
        swept = await sweeper(world).sweep()
        assert (swept.studies, swept.listed, swept.found) == (2, 1, {"webhook_missed": 1})
        only = await replace(sweeper(world), only=(child.id, "another")).sweep()
        assert only.studies == 1
        assert only.problems == ["study another: no rule file claims it"]


def sweeper(world: World) -> Sweeper:
    reviewer = world.service.reviewer
    assert reviewer
    return Sweeper(reviewer.prolific, reviewer.database, reviewer.decider.rules)


async def test_clock_set_back_does_not_stop_sweeps(start: Start, database_url: str) -> None:
    async with start(sweeps=True, sweep_every="1h") as world:
        await swept(world)
        submission = world.completed()
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("UPDATE turns SET began_at = now() + interval '1 day'")
        assert (await world.settled(submission.id))["trigger"] == "sweep"


@pytest.mark.parametrize(
    ("enabled", "state", "gauge"), [(True, "enabled", "1.0"), (False, "disabled", "0.0")]
)
async def test_the_subscription_is_looked_up_and_a_disabled_one_is_loud(
    start: Start, capsys: pytest.CaptureFixture[str], enabled: bool, state: str, gauge: str
) -> None:
    async with start(public_url="https://review.example.org", sweeps=False, sweep_every="1s") as world:
        hooks = world.sandbox.hooks
        subscription = hooks.subscribe(
            WORKSPACE, STATUS_CHANGE, "https://review.example.org/webhooks/prolific"
        )
        subscription.confirmed, subscription.is_enabled = True, enabled
        await swept(world)

        async def told() -> bool:
            found = (await world.api("status"))["subscription"]
            return bool(found) and found["state"] == state

        await until(told, f"the subscription to be seen as {state}")
        from service.ops.gauges import Gauges

        await Gauges(world.service.database, world.service.metrics).look()
        assert f"autoreview_subscription_enabled {gauge}" in (await world.http.get("/metrics")).text
    assert ("subscription.lost" in capsys.readouterr().out) is not enabled


@pytest.mark.parametrize("public_url", ["http://review.example.org", "https://review.example.org/?x=1"])
async def test_a_public_address_that_prolific_cannot_send_to_does_not_stop_the_sweep(
    start: Start, public_url: str
) -> None:
    async with start(public_url=public_url, sweep_every="1s") as world:
        world.sandbox.hooks.subscribe(
            WORKSPACE, STATUS_CHANGE, "https://review.example.org/webhooks/prolific"
        )
        assert (await swept(world))["studies"] == 1

        async def told() -> dict[str, str] | None:
            found: dict[str, str] | None = (await world.api("status"))["subscription"]
            return found

        found = await until(told, "the subscription to be judged")
        assert found["state"] == "unknown"
        assert found["detail"].startswith("AUTOREVIEW_PUBLIC_URL: ")


async def test_the_command_looks_once_and_says_how_many_by_cause(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with start() as world:
        submission = world.completed()
        settings = complete_settings(write_rules(tmp_path / "rules", rules_text()), tmp_path / "data")
        settings |= {
            "database_url": database_url,
            "prolific_url": world.prolific_url,
            "prolific_token": TOKEN,
        }
        ended = await asyncio.to_thread(autoreview, "sweep", "--json", settings=settings)
        assert ended.returncode == 0, ended.stderr
        said = json.loads(ended.stdout)
        assert (said["studies"], said["awaiting_review"], said["enqueued"]) == (1, 1, 1)
        assert said["found"]["webhook_missed"] == 1
        assert (await world.settled(submission.id))["trigger"] == "sweep"
        world.prolific.add(Fault("submissions", 403, count=None))
        ended = await asyncio.to_thread(autoreview, "sweep", settings=settings)
        assert ended.returncode == 1
        assert "403" in ended.stderr


async def test_a_timer_that_is_gone_is_missed(start: Start, database_url: str) -> None:
    ask = '\n  - name: ask\n    when: submission.code_type == "NONE"\n    request_return: {reasons: [Finish it.]}\n'
    async with start(rules_text(ask), sweep_every="1s") as world:
        submission = world.completed(code=None)
        assert (await decided(world, submission))["status"] == "applied"
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            gone = await connection.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'wake'")
            assert gone.rowcount == 1, "the follow-up of a request to return"
            await connection.execute("ALTER TABLE decisions DISABLE TRIGGER decisions_only_added")
            await connection.execute("UPDATE decisions SET recheck_at = now() - interval '10 minutes'")
            await connection.execute("ALTER TABLE decisions ENABLE TRIGGER decisions_only_added")
            await connection.execute("UPDATE submissions SET seen_at = now() - interval '11 minutes'")
        decision = await world.settled(submission.id, decisions=2)
        assert (decision["trigger"], decision["guard"]) == ("recheck", "already_asked")
