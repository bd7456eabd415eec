"""Who takes part in the soak, and how each submission has to end."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from random import Random

from service.domain.decision import Outcome
from service.domain.submission import Status
from service.sandbox.model import ReturnAnswer, SimSubmission
from service.sandbox.participants import Kind, Participant, ends_as, participant
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.soak.plan import Plan

TRANSITION = "transition"
REQUEST_RETURN = "request-return"
ANSWERS_WITHIN = (0.5, 2.0)  # real seconds from being asked to return to returning


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of participant; of a silent one the survey never says anything."""

    kind: Kind
    silent: bool = False


SILENT = Role(Kind.CAREFUL, silent=True)

# What twenty participants in a row are: more trouble than any real study has.
BLOCKS: dict[str, dict[Role, int]] = {
    STROOP: {
        Role(Kind.CAREFUL): 7,
        Role(Kind.HURRIED): 2,
        Role(Kind.INATTENTIVE): 4,
        Role(Kind.WITHOUT_CODE): 2,
        Role(Kind.WITHDRAWING): 2,
        Role(Kind.MISTYPED_CODE): 2,
        SILENT: 1,
    },
    TWO_PARTS: {
        Role(Kind.CAREFUL): 7,
        Role(Kind.HURRIED): 1,
        Role(Kind.HALF_DONE): 4,
        Role(Kind.SCREENED_OUT): 3,
        Role(Kind.WITHDRAWING): 2,
        Role(Kind.MISTYPED_CODE): 2,
        SILENT: 1,
    },
}


def crowd(plan: Plan) -> list[Participant]:
    """All participants in the order of their arrival, every other one in each study."""
    random = plan.random("crowd")
    roles = {study: _roles(study, random) for study in BLOCKS}
    return [
        _person(next(roles[study]), study, plan, random) for study in islice(cycle(BLOCKS), plan.participants)
    ]


def _roles(study: str, random: Random) -> Iterator[Role]:
    while True:
        block = [role for role, number in BLOCKS[study].items() for _ in range(number)]
        random.shuffle(block)
        yield from block


def _person(role: Role, study: str, plan: Plan, random: Random) -> Participant:
    person = replace(participant(role.kind, study, random), answer_to_return=_answer(plan, random))
    if role.silent:
        return replace(person, evidence={}, deserves=Outcome.HOLD, ends_as=Status.AWAITING_REVIEW)
    return person


def _answer(plan: Plan, random: Random) -> ReturnAnswer:
    """A third returns at once, a third soon, a third never."""
    soon = random.uniform(*ANSWERS_WITHIN) * plan.time_scale
    return ReturnAnswer(random.choice((0, soon, None)))


@dataclass(frozen=True, slots=True)
class Deserts:
    """How a submission has to end: its status, and how often which request has to take effect."""

    status: Status
    effects: dict[str, int]


def deserts(submission: SimSubmission) -> Deserts:
    """Known from what the simulated participant is, not from anything the service did."""
    deserves = Outcome(str(submission.deserves))
    if deserves is Outcome.HOLD:
        return Deserts(Status.AWAITING_REVIEW, {TRANSITION: 0, REQUEST_RETURN: 0})
    if deserves is not Outcome.REQUEST_RETURN:
        status = ends_as(deserves, Kind(str(submission.kind)))
        return Deserts(status, {TRANSITION: 1, REQUEST_RETURN: 0})
    if submission.answer_to_return.after is None:  # rejected once the time to answer is over
        return Deserts(Status.REJECTED, {TRANSITION: 1, REQUEST_RETURN: 1})
    return Deserts(Status.RETURNED, {TRANSITION: 0, REQUEST_RETURN: 1})
