"""Simulated participants: their kinds, their deserved outcomes, and their actions."""

from collections import Counter

import pytest

from service.domain.decision import Outcome
from service.domain.submission import Status
from service.sandbox.lifecycle import simulate
from service.sandbox.participants import KINDS_OF, Evidence, Kind, Participant, participant
from service.sandbox.population import population
from service.sandbox.server import shipped_state
from service.sandbox.studies import SHIPPED, STROOP, TWO_PARTS
from service.sandbox.times import seeded

FIELDS = {
    STROOP: {"attention_failed": int, "consented": bool, "finished": bool, "gibberish": float},
    TWO_PARTS: {"parts_done": int, "screened_out": bool, "consented": bool, "attention_failed": int},
}
EACH = sorted((study, kind) for study, kinds in KINDS_OF.items() for kind in kinds)


def crowd(kind: Kind, study_id: str) -> list[Participant]:
    random = seeded(3)
    return [participant(kind, study_id, random) for _ in range(40)]


def codes_of(study_id: str) -> set[str]:
    [study] = [study for study in SHIPPED if study["id"] == study_id]
    return {code["code"] for code in study["completion_codes"]}


@pytest.mark.parametrize(("study_id", "kind"), EACH)
def test_simulated_evidence_has_the_fields_and_types_of_the_rules(study_id: str, kind: Kind) -> None:
    for person in crowd(kind, study_id):
        assert {name: type(value) for name, value in person.evidence.items()} == FIELDS[study_id]


@pytest.mark.parametrize(("study_id", "kind"), EACH)
def test_only_the_kind_that_mistypes_enters_an_unknown_code(study_id: str, kind: Kind) -> None:
    for person in crowd(kind, study_id):
        unknown = person.entered_code is not None and person.entered_code not in codes_of(study_id)
        assert unknown is (kind is Kind.MISTYPED_CODE)


@pytest.mark.parametrize(
    ("study_id", "kind", "deserves", "ends_as"),
    [
        (STROOP, Kind.CAREFUL, Outcome.APPROVE, Status.APPROVED),
        (STROOP, Kind.HURRIED, Outcome.APPROVE, Status.APPROVED),
        (STROOP, Kind.INATTENTIVE, Outcome.REJECT, Status.REJECTED),
        (STROOP, Kind.WITHDRAWING, Outcome.REQUEST_RETURN, Status.AWAITING_REVIEW),
        (TWO_PARTS, Kind.HALF_DONE, Outcome.COMPLETE, Status.PARTIALLY_APPROVED),
        (TWO_PARTS, Kind.SCREENED_OUT, Outcome.COMPLETE, Status.SCREENED_OUT),
        (TWO_PARTS, Kind.MISTYPED_CODE, Outcome.HOLD, Status.AWAITING_REVIEW),
    ],
)
def test_each_kind_of_participant_has_its_deserved_outcome(
    study_id: str, kind: Kind, deserves: Outcome, ends_as: Status
) -> None:
    assert {(p.deserves, p.ends_as) for p in crowd(kind, study_id)} == {(deserves, ends_as)}


def test_deserved_outcome_without_a_code_depends_on_the_survey() -> None:
    people = crowd(Kind.WITHOUT_CODE, STROOP)
    assert {(p.evidence["finished"], p.deserves) for p in people} == {
        (True, Outcome.APPROVE),
        (False, Outcome.REQUEST_RETURN),
    }


def test_only_careless_participants_fail_two_attention_checks() -> None:
    for person in population(400, seeded(1)):
        assert (person.evidence["attention_failed"] >= 2) is (person.kind is Kind.INATTENTIVE)


@pytest.mark.parametrize("seed", range(5))
def test_simulated_crowd_stays_below_the_default_limit_of_rejections(seed: int) -> None:
    for study_id in (STROOP, TWO_PARTS):
        deserved = [p.deserves for p in population(1000, seeded(seed)) if p.study_id == study_id]
        for end in range(1, len(deserved) + 1):
            window = deserved[max(0, end - 50) : end]
            assert window.count(Outcome.REJECT) <= max(3, len(window) // 10)
    kinds = Counter(p.kind for p in population(1000, seeded(seed)))
    assert kinds[Kind.INATTENTIVE] <= 40
    assert set(kinds) == set(Kind)


def test_same_seed_makes_the_same_crowd() -> None:
    assert population(80, seeded(5)) == population(80, seeded(5))
    assert population(80, seeded(5)) != population(80, seeded(6))
    assert len(population(81, seeded(5))) == 81
    assert population(0, seeded(5)) == []


async def test_each_participant_completes_and_sends_evidence_once() -> None:
    state = shipped_state(time_scale=30_000, seed=2)
    people = population(60, seeded(2))
    pushed: dict[str, tuple[str, Evidence, Status]] = {}

    async def push(source: str, submission_id: str, fields: Evidence) -> None:
        assert submission_id not in pushed
        pushed[submission_id] = source, fields, state.submissions[submission_id].status

    await simulate(state, people, push=push)
    assert len(pushed) == len(state.submissions) == 60
    assert {status for _, _, status in pushed.values()} == {Status.ACTIVE, Status.AWAITING_REVIEW}
    planned = {person.participant_id: person for person in people}
    for submission in state.submissions.values():
        person = planned[submission.participant_id]
        assert [change.status for change in submission.history] == [
            Status.RESERVED,
            Status.ACTIVE,
            Status.AWAITING_REVIEW,
        ]
        assert submission.completed_at is not None
        assert (submission.completed_at - submission.started_at).total_seconds() == person.time_taken
        assert submission.completed_at <= state.clock()
        assert (submission.kind, submission.deserves) == (person.kind, person.deserves)
        assert pushed[submission.id][:2] == (person.source, person.evidence)


async def test_failed_push_does_not_end_a_participant() -> None:
    state = shipped_state(time_scale=100_000, seed=2)

    async def push(source: str, submission_id: str, fields: Evidence) -> None:
        raise ConnectionError(source)

    await simulate(state, population(6, seeded(2)), push=push)
    assert {s.status for s in state.submissions.values()} == {Status.AWAITING_REVIEW}
