"""What is planned outlives ``kill -9`` of the service: it leaves once, after its time, and never if it was undone."""

import signal
from pathlib import Path

import httpx

from service.sandbox.app import create_app
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP
from tests.integration.faults.stored import query
from tests.integration.manual.orders import HOLD
from tests.integration.pages.browsing import Person, sign_in
from tests.process import Running, complete_settings, serving
from tests.world import ADMIN, TOKEN, bearer, signed, status_change, swept_just_now, until, write_rules

# Tests move the time at which decisions are sent, so that they do not wait for ten seconds.
MOVE = (
    "UPDATE planned_decisions SET due_at = now() + make_interval(secs => %(seconds)s) WHERE ended_at IS NULL"
)


async def test_a_killed_process_neither_loses_nor_repeats_what_is_planned_and_sends_nothing_that_was_undone(
    database_url: str, tmp_path: Path
) -> None:
    state = shipped_state(time_scale=1000.0, seed=7)
    async with sandbox_running(create_app(state, token=TOKEN)) as prolific_url:
        settings = complete_settings(write_rules(tmp_path / "rules", HOLD), tmp_path, prolific_url)
        settings |= {"database_url": database_url, "sweep_every": "1h"}
        await swept_just_now(database_url)
        async with serving(settings, tmp_path / "log") as running:
            sent, before, after = [await held(running, state) for _ in range(3)]
            ada = await signed_in(running)
            for submission in (sent, before, after):
                await plan(ada, submission)
            await query(database_url, MOVE, seconds=3600)
            await undo(ada, before)
            cookies = ada.http.cookies
            await running.stop(signal.SIGKILL)
        await query(
            database_url, "DELETE FROM procrastinate_workers"
        )  # else the next one waits for its silence
        async with serving(settings, tmp_path / "log") as running:
            # The session outlives the process too.
            running.http.cookies = cookies
            ada = Person(running.http)
            planned = await ada.page("/holds/planned")
            assert (sent in planned, before in planned, after in planned) == (True, False, True)
            assert [await outcomes(running, one) for one in (sent, before, after)] == [["hold"]] * 3
            await undo(ada, after)
            await query(database_url, MOVE, seconds=0)

            async def approved() -> bool:
                return await outcomes(running, sent) == ["approve", "hold"] and bool(state.calls_for(sent))

            await until(approved, "the planned decision to leave")
            await running.stop(signal.SIGKILL)
        await query(database_url, "DELETE FROM procrastinate_workers")
        async with serving(settings, tmp_path / "log") as running:
            last = await held(running, state)
            await plan(await signed_in(running), last)
            await query(database_url, MOVE, seconds=0)

            async def left() -> bool:
                return bool(state.calls_for(last))

            await until(left, "a later decision to leave")
            calls = {one: [call.body for call in state.calls_for(one)] for one in (sent, before, after)}
            assert calls == {sent: [{"action": "APPROVE"}], before: [], after: []}


async def held(running: Running, state: SandboxState) -> str:
    submission = state.reserve(STROOP, notify=False)
    state.complete(submission, "C0L0UR12", time_taken=700, notify=False)
    body = status_change(submission.id)
    assert (
        await running.http.post("/webhooks/prolific", content=body, headers=signed(body))
    ).status_code == 202

    async def decided() -> bool:
        return await outcomes(running, submission.id) == ["hold"]

    await until(decided, "the submission to be held")
    return submission.id


async def outcomes(running: Running, submission: str) -> list[str]:
    """The submission's outcomes, the newest first."""
    found = await running.http.get("/api/decisions", params={"submission": submission}, headers=bearer(ADMIN))
    return [one["outcome"] for one in found.json()["results"]]


async def signed_in(running: Running) -> Person:
    assert (await sign_in(running.http)).status_code == 303
    return Person(running.http)


async def plan(ada: Person, submission: str) -> None:
    answer = await ada.send("/holds/decide", submission=submission, action="approve")
    assert answer.status_code == 303, answer.text


async def undo(ada: Person, submission: str) -> None:
    """Press the row's own button."""
    row = await ada.page("/holds/row", submission=submission)
    batch = row.split('name="batch" value="')[1].split('"')[0]
    answer: httpx.Response = await ada.send("/holds/undo", batch=batch, submission=submission)
    assert answer.status_code == 303, answer.text
