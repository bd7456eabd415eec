"""Simulated participants: what each kind does, what its survey knows of it, and what it deserves.

| kind         | studies  | does                                           | deserves                         |
|--------------|----------|------------------------------------------------|----------------------------------|
| careful      | both     | takes its time, passes all checks              | approve                          |
| hurried      | both     | is fast, and clean: speed alone is no ground   | approve                          |
| inattentive  | Stroop   | fails two or more attention checks             | reject                           |
| without_code | both     | enters no code; half of them finished          | approve, else request_return     |
| withdrawing  | both     | takes the consent back                         | request_return                   |
| half_done    | two-part | stops after the first part                     | complete: half of the reward     |
| screened_out | two-part | does not fit the study                         | complete: the screen-out payment |
| mistyped_code| both     | enters a code that is none of the study's      | hold                             |
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, assert_never

from service.domain.decision import Outcome
from service.domain.submission import Status
from service.sandbox.model import ReturnAnswer
from service.sandbox.studies import STROOP, TWO_PARTS

Evidence = dict[str, Any]

SOURCES = {STROOP: "survey", TWO_PARTS: "task"}
ESTIMATES = {STROOP: 12 * 60, TWO_PARTS: 25 * 60}  # seconds
CODES = {STROOP: "C0L0UR12", TWO_PARTS: "B0THPART"}
PARTS = 2
RETURNING = 0.7  # share of those asked to return who do
AT_ONCE = 0.15  # share of those who do so before Prolific has answered the asking


class Kind(StrEnum):
    CAREFUL = "careful"
    HURRIED = "hurried"
    INATTENTIVE = "inattentive"
    WITHOUT_CODE = "without_code"
    WITHDRAWING = "withdrawing"
    HALF_DONE = "half_done"
    SCREENED_OUT = "screened_out"
    MISTYPED_CODE = "mistyped_code"


KINDS_OF = {
    STROOP: frozenset(Kind) - {Kind.HALF_DONE, Kind.SCREENED_OUT},
    TWO_PARTS: frozenset(Kind) - {Kind.INATTENTIVE},
}


@dataclass(frozen=True, slots=True)
class Participant:
    """One visit to one study, planned to its end.

    ``evidence`` is what ``PUT /evidence/{source}/{submission_id}`` is sent, ``evidence_first`` whether that
    comes before the completion. ``ends_as`` is the status of somebody treated as deserved who does not return.
    """

    kind: Kind
    study_id: str
    participant_id: str
    time_taken: int
    entered_code: str | None
    evidence: Evidence
    evidence_first: bool
    deserves: Outcome
    ends_as: Status
    answer_to_return: ReturnAnswer

    @property
    def source(self) -> str:
        return SOURCES[self.study_id]


def participant(kind: Kind, study_id: str, random: Random) -> Participant:
    """Plan one participant of a kind that the study knows."""
    assert kind in KINDS_OF[study_id]
    finished = not (kind is Kind.WITHOUT_CODE and random.random() < 0.5)
    deserves = deserved(kind, finished=finished)
    return Participant(
        kind=kind,
        study_id=study_id,
        participant_id=f"{random.getrandbits(96):024x}",
        time_taken=time_taken(kind, ESTIMATES[study_id], random),
        entered_code=entered_code(kind, study_id, random),
        evidence=evidence(kind, study_id, random, finished=finished),
        evidence_first=random.random() < 0.6,
        deserves=deserves,
        ends_as=ends_as(deserves, kind),
        answer_to_return=_answer_to_return(random),
    )


def deserved(kind: Kind, *, finished: bool) -> Outcome:
    match kind:
        case Kind.CAREFUL | Kind.HURRIED:
            return Outcome.APPROVE
        case Kind.INATTENTIVE:
            return Outcome.REJECT
        case Kind.WITHOUT_CODE:
            return Outcome.APPROVE if finished else Outcome.REQUEST_RETURN
        case Kind.WITHDRAWING:
            return Outcome.REQUEST_RETURN
        case Kind.HALF_DONE | Kind.SCREENED_OUT:
            return Outcome.COMPLETE
        case Kind.MISTYPED_CODE:
            return Outcome.HOLD
        case _:
            assert_never(kind)


def ends_as(deserves: Outcome, kind: Kind) -> Status:
    match deserves:
        case Outcome.APPROVE:
            return Status.APPROVED
        case Outcome.REJECT:
            return Status.REJECTED
        case Outcome.COMPLETE:
            return Status.PARTIALLY_APPROVED if kind is Kind.HALF_DONE else Status.SCREENED_OUT
        case Outcome.REQUEST_RETURN | Outcome.HOLD:
            return Status.AWAITING_REVIEW
        case _:
            assert_never(deserves)


def time_taken(kind: Kind, estimate: int, random: Random) -> int:
    """Draw the seconds of work; most people are a little faster or slower than the researcher thinks."""
    match kind:
        case Kind.HURRIED:
            share = random.uniform(0.35, 0.5)
        case Kind.HALF_DONE:
            share = random.uniform(0.45, 0.6)
        case Kind.SCREENED_OUT:
            share = random.uniform(0.1, 0.2)
        case Kind.WITHDRAWING:
            share = random.uniform(0.1, 0.5)
        case _:
            share = random.uniform(0.75, 1.4)
    return round(estimate * share)


def entered_code(kind: Kind, study_id: str, random: Random) -> str | None:
    match kind:
        case Kind.WITHOUT_CODE | Kind.SCREENED_OUT:
            return None
        case Kind.WITHDRAWING:
            return "N0THANKS" if study_id == STROOP else None
        case Kind.HALF_DONE:
            return "0NEPART1"
        case Kind.MISTYPED_CODE:
            return mistyped(CODES[study_id], random)
        case _:
            return CODES[study_id]


def mistyped(code: str, random: Random) -> str:
    """Swap two neighbours that differ."""
    places = [i for i in range(len(code) - 1) if code[i] != code[i + 1]]
    i = random.choice(places)
    return code[:i] + code[i + 1] + code[i] + code[i + 2 :]


def evidence(kind: Kind, study_id: str, random: Random, *, finished: bool) -> Evidence:
    """Build what the study's survey knows, in the fields that its rule file declares."""
    consented = kind is not Kind.WITHDRAWING
    failed = random.randint(2, 4) if kind is Kind.INATTENTIVE else int(random.random() < 0.1)
    if study_id == STROOP:
        return {
            "attention_failed": failed if consented else 0,
            "consented": consented,
            "finished": finished and consented,
            "gibberish": round(random.uniform(0.0, 0.2), 3),
        }
    return {
        "parts_done": _parts_done(kind, finished=finished),
        "screened_out": kind is Kind.SCREENED_OUT,
        "consented": consented,
        "attention_failed": 0,
    }


def _parts_done(kind: Kind, *, finished: bool) -> int:
    if kind in (Kind.SCREENED_OUT, Kind.WITHDRAWING) or not finished:
        return 0
    return 1 if kind is Kind.HALF_DONE else PARTS


def _answer_to_return(random: Random) -> ReturnAnswer:
    if random.random() >= RETURNING:
        return ReturnAnswer(None)
    if random.random() < AT_ONCE:
        return ReturnAnswer(0)
    return ReturnAnswer(random.uniform(5 * 60, 60 * 60))
