"""The lives of simulated participants, in compressed time: each comes, works, completes, leaves its data."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import structlog

from service.sandbox.participants import Evidence, Participant
from service.sandbox.state import SandboxState

log = structlog.get_logger(__name__)

PushEvidence = Callable[[str, str, Evidence], Awaitable[None]]
"""Delivers a source's evidence on a submission: ``(source, submission_id, fields)``."""

ARRIVAL_EVERY = 30.0  # seconds between two participants, on average
READING = 60.0  # seconds at most between taking a place and starting
LATE_EVIDENCE = 300.0  # seconds at most from the completion to the survey's results, where they come after


async def simulate(
    state: SandboxState,
    people: Iterable[Participant],
    *,
    push: PushEvidence | None = None,
    arrival_every: float = ARRIVAL_EVERY,
) -> None:
    """Live all these lives, in simulated time; ends when the last has completed and left its evidence."""
    async with asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(live(state, person, push))
            await state.timers.sleep(state.random.expovariate(1 / arrival_every))


async def live(state: SandboxState, person: Participant, push: PushEvidence | None) -> str:
    """Live one participant's visit; gives the submission's id. What they are asked later is the state's."""
    submission = state.reserve(person.study_id, person.participant_id)
    submission.kind, submission.deserves = person.kind, person.deserves
    submission.answer_to_return = person.answer_to_return
    await state.timers.sleep(state.random.uniform(0, READING))
    # The clock on the wall is not compressed: the start is dated back so far that the completion is now.
    really = person.time_taken / state.timers.time_scale
    state.start(submission, at=state.clock() - timedelta(seconds=person.time_taken - really))
    await state.timers.sleep(person.time_taken)
    if person.evidence_first:
        await _push(push, person, submission.id)
    state.complete(submission, person.entered_code, time_taken=person.time_taken)
    if not person.evidence_first:
        await state.timers.sleep(state.random.uniform(0, LATE_EVIDENCE))
        await _push(push, person, submission.id)
    return submission.id


async def _push(push: PushEvidence | None, person: Participant, submission_id: str) -> None:
    """Push, and let no failure end the other lives: evidence that never comes is a case to rehearse too."""
    if push is None:
        return
    try:
        await push(person.source, submission_id, dict(person.evidence))
    except Exception as error:
        log.warning("evidence_not_pushed", submission_id=submission_id, error=repr(error))
