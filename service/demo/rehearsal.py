"""``autoreview demo``: participants complete studies, the service decides, and each ending is checked."""

import asyncio
import signal
import sys
import time

import httpx
import stamina
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.console.output import console, print_json
from service.demo.laboratory import Laboratory
from service.demo.process import FOLDER, Place, free_place, service_process
from service.demo.report import show, summary, where_next
from service.demo.verdicts import endings, is_settled
from service.sandbox.app import create_app
from service.sandbox.lifecycle import PushEvidence, simulate
from service.sandbox.participants import SOURCES, Evidence
from service.sandbox.population import population
from service.sandbox.server import running, shipped_state
from service.sandbox.state import WORKSPACE, SandboxState
from service.sandbox.studies import STROOP

TIME_SCALE = 600.0  # ten minutes of a participant's life pass in a second
SETTLE_TIMEOUT = 60.0  # seconds for the last submissions
LOOK = 0.1  # seconds between two looks at the progress
SURVEY = SOURCES[STROOP]
PAGE = "https://study.example.org"  # an origin under `cors` in rules/attention-checks.yaml


def rehearse(*, participants: int, seed: int, keep: bool, as_json: bool) -> int:
    """Run the whole rehearsal; 0 if every submission ended as its participant deserves, else 1."""
    return asyncio.run(_rehearse(participants, seed, keep=keep, as_json=as_json))


async def _rehearse(participants: int, seed: int, *, keep: bool, as_json: bool) -> int:
    place = free_place()
    state = shipped_state(time_scale=TIME_SCALE, seed=seed)
    state.hooks.point_at(WORKSPACE, f"{place.url}/webhooks/prolific", place.webhook_secret)
    out = console(quiet=as_json)
    out.print(
        f"A rehearsal with {participants} simulated participants in two studies; nothing leaves this machine."
    )
    laboratory = Laboratory(FOLDER)
    async with (
        running(create_app(state, token=place.prolific_token)) as prolific_url,
        running(laboratory.app()) as laboratory_url,
    ):
        out.print("Starting PostgreSQL and the service …")
        laboratory.prepare(laboratory_url)
        async with (
            service_process(place, prolific_url, laboratory),
            httpx.AsyncClient(
                base_url=place.url, headers=_bearer(place.admin_token), timeout=30, trust_env=False
            ) as http,
        ):
            await _live_through(state, participants, place, laboratory, quiet=as_json)
            found = await endings(state, http)
            transitions = sum(1 for call in state.calls if call.affected)
            figures = summary(found, state.hooks.count_events(), transitions)
            if as_json:
                print_json(figures)
            else:
                show(figures, found)
                where_next(place, prolific_url, keep=keep)
            if keep:
                await _until_interrupted()
    return 0 if figures["ok"] else 1


async def _live_through(
    state: SandboxState, participants: int, place: Place, laboratory: Laboratory, *, quiet: bool
) -> None:
    """Let all participants take part, and wait until the service has decided their submissions."""
    people = population(participants, state.random)
    async with httpx.AsyncClient(
        base_url=place.url, headers=_bearer(place.evidence_token), timeout=30, trust_env=False
    ) as http:
        crowd = asyncio.create_task(simulate(state, people, push=_pusher(http, state, laboratory)))
        await _watch(state, participants, crowd, quiet=quiet)
        await crowd


async def _watch(state: SandboxState, participants: int, crowd: asyncio.Task[None], *, quiet: bool) -> None:
    """Show the progress until all is settled, or until ``SETTLE_TIMEOUT`` after the last participant."""
    live = sys.stdout.isatty() and not quiet
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    deadline: float | None = None
    printed_at = time.monotonic()
    with Progress(*columns, console=console(), disable=not live) as progress:
        came = progress.add_task("took part ", total=participants)
        ended = progress.add_task("dealt with", total=participants)
        while True:
            done = sum(1 for one in state.submissions.values() if is_settled(one))
            progress.update(came, completed=len(state.submissions))
            progress.update(ended, completed=done)
            if not live and not quiet and time.monotonic() - printed_at > 2:
                printed_at = time.monotonic()
                console().print(f"  {len(state.submissions)} of {participants} took part, {done} dealt with")
            if crowd.done():
                deadline = deadline or time.monotonic() + SETTLE_TIMEOUT
                if (done == participants and _quiet(state)) or time.monotonic() > deadline:
                    return
            await asyncio.sleep(LOOK)


def _quiet(state: SandboxState) -> bool:
    """Return True if every webhook has been accepted."""
    return state.hooks.count_events()["PENDING"] == 0


def _pusher(http: httpx.AsyncClient, state: SandboxState, laboratory: Laboratory) -> PushEvidence:
    """Push evidence as labs do: a survey platform sends a form of texts, a page its own count, own code JSON."""

    @stamina.retry(on=(httpx.TransportError, httpx.HTTPStatusError), attempts=8, wait_initial=0.1)
    async def push(source: str, submission_id: str, evidence: Evidence) -> None:
        if source == SURVEY:
            texts = {name: _text(value) for name, value in evidence.items()}
            answer = await http.post(f"/evidence/{source}", data={"SESSION_ID": submission_id} | texts)
            await _push_from_page(http, state, submission_id)
        else:
            answer = await http.put(f"/evidence/{source}/{submission_id}", json=evidence)
            if submission_id not in laboratory.known:
                laboratory.record(submission_id, evidence)
        answer.raise_for_status()

    return push


async def _push_from_page(http: httpx.AsyncClient, state: SandboxState, submission_id: str) -> None:
    """Send what the participant's browser counted, with Prolific's signed study link instead of the token."""
    one = state.submissions[submission_id]
    link = state.links.token(one.id, one.study_id, one.participant_id, PAGE)
    headers = {"X-Prolific-Study-Link": link, "Origin": PAGE, "Authorization": ""}
    times_left = int(submission_id[-1], 16) // 2
    answer = await http.put(
        f"/evidence/page/{submission_id}", json={"times_left": times_left}, headers=headers
    )
    answer.raise_for_status()


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
