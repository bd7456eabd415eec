"""Simulated participants in compressed time: each arrives, works, completes, and pushes its evidence."""

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
    """Run all participants in simulated time. Return when the last one has completed and pushed its evidence."""
    async with asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(live(state, person, push))
            await state.timers.sleep(state.random.expovariate(1 / arrival_every))


async def live(state: SandboxState, person: Participant, push: PushEvidence | None) -> str:
    """Run one participant's visit. Return the submission's id. The state answers later requests to return."""
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
    """Push evidence. A failure does not stop other participants: missing evidence is rehearsed too."""
    if push is None:
        return
    try:
        await push(person.source, submission_id, dict(person.evidence))
    except Exception as error:
        log.warning("evidence_not_pushed", submission_id=submission_id, error=repr(error))
