"""A review that kills its process: it comes again later and later, keeps nothing else back, and ends as *failed*."""

import asyncio
import signal
from pathlib import Path

from service.sandbox.app import create_app
from service.sandbox.faults import Fault
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests.integration.faults.stored import Row, jobs, query
from tests.jobs import make_due
from tests.process import Running, autoreview, complete_settings, serving
from tests.world import (
    ADMIN,
    TOKEN,
    bearer,
    rules_text,
    signed,
    status_change,
    swept_just_now,
    until,
    write_rules,
)

NEVER = Fault("submission", latency=600, count=None)  # the review is under way when its process is killed
KILLED_8_TIMES = "UPDATE reviews SET outages = 8 WHERE submission_id = %(id)s"
FOR_A_DAY = "UPDATE reviews SET troubled_since = now() - interval '1 day' WHERE submission_id = %(id)s"
UNHANDLED = "SELECT event_id FROM inbox WHERE handled_at IS NULL"


async def test_review_that_kills_its_process_waits_longer_each_time_and_fails_after_a_day(
    database_url: str, tmp_path: Path
) -> None:
    state = shipped_state(time_scale=1000.0, seed=7)
    deadly, other = completed(state), completed(state)
    async with sandbox_running(create_app(state, token=TOKEN)) as prolific_url:
        settings = complete_settings(write_rules(tmp_path / "rules", rules_text()), tmp_path, prolific_url)
        settings |= {"database_url": database_url, "sweep_every": "1h"}
        await swept_just_now(database_url)
        state.faults.add(NEVER)
        async with serving(settings, tmp_path / "log") as running:
            await tell(running, deadly)
            await killed_in_review(running, state, database_url, reviews=1)
        async with serving(settings, tmp_path / "log") as running:
            # At once the first time: that a process is killed is mostly not the review's fault.
            await killed_in_review(running, state, database_url, reviews=2)
        await query(database_url, KILLED_8_TIMES, id=deadly)
        state.faults.clear()
        async with serving(settings, tmp_path / "log") as running:
            waiting = await until(lambda: waiting_job(database_url, deadly), "it to wait")
            assert (waiting["priority"], waiting["attempts"]) == (0, 2)
            assert waiting["wait"] > 60
            await tell(running, other)
            assert (await until(lambda: decisions(running, other), "others to be decided"))[0][
                "outcome"
            ] == "approve"
            assert await waiting_job(database_url, deadly)
            state.faults.add(NEVER)
            await make_due(database_url, "review")
            await killed_in_review(running, state, database_url, reviews=4)
        await query(database_url, FOR_A_DAY, id=deadly)
        async with serving(settings, tmp_path / "log") as running:
            (failed,) = await until(lambda: decisions(running, deadly), "it to be failed")
            assert (failed["status"], failed["outcome"]) == ("failed", "hold")
            assert failed["reason"].startswith("The process ended during each review of this submission")

            async def handled() -> bool:
                return await query(database_url, UNHANDLED) == []

            await until(handled, "nothing to be left that a sweep would review again")
            assert await jobs(database_url) == []
            state.faults.clear()
            retried = await asyncio.to_thread(autoreview, "retry", deadly, settings=settings)
            assert retried.returncode == 0, retried.stderr

            async def applied() -> bool:
                newest, *_ = await decisions(running, deadly)
                return bool(newest["status"] == "applied")

            await until(applied, "a person's retry to end well")


def completed(state: SandboxState) -> str:
    submission = state.reserve(STROOP, notify=False)
    state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
    return submission.id


async def killed_in_review(running: Running, state: SandboxState, url: str, *, reviews: int) -> None:
    """Kill the process with -9 while it asks Prolific for the submission, by now in so many reviews."""

    async def asked() -> bool:
        return state.faults.seen.count("submission") >= reviews

    await until(asked, f"review {reviews} to be under way")
    await running.stop(signal.SIGKILL)
    await query(url, "DELETE FROM procrastinate_workers")  # else the next one waits for its silence


async def waiting_job(url: str, submission: str) -> Row | None:
    rows = await query(
        url,
        "SELECT priority, attempts, extract(epoch FROM scheduled_at - now())::float AS wait "
        "FROM procrastinate_jobs WHERE lock = %(id)s AND status = 'todo'",
        id=submission,
    )
    return rows[0] if rows else None


async def tell(running: Running, submission: str) -> None:
    body = status_change(submission)
    answer = await running.http.post("/webhooks/prolific", content=body, headers=signed(body))
    assert answer.status_code == 202


async def decisions(running: Running, submission: str) -> list[Row]:
    found = await running.http.get("/api/decisions", params={"submission": submission}, headers=bearer(ADMIN))
    results: list[Row] = found.json()["results"]
    return results
