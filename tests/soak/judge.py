"""Whether a submission was lost, doubled or treated wrongly, from what three sources say of it."""

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from service.domain.decision import Outcome
from service.sandbox.model import Call, SimSubmission
from tests.soak.cast import REQUEST_RETURN, TRANSITION, deserts
from tests.soak.sources import Row, Stored

DONE = {"applied", "already"}
ENDPOINTS = {
    Outcome.APPROVE: TRANSITION,
    Outcome.REJECT: TRANSITION,
    Outcome.COMPLETE: TRANSITION,
    Outcome.REQUEST_RETURN: REQUEST_RETURN,
}


class Fault(StrEnum):
    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Case:
    """One submission as Prolific, the database and the API know it; ``acknowledged``: events answered 2xx."""

    submission: SimSubmission
    calls: list[Call]
    acknowledged: list[str]
    stored: Stored
    told: Row

    def effects(self, endpoint: str) -> int:
        """How often such a call changed the submission."""
        return sum(1 for call in self.requests(endpoint) if self.submission.id in call.affected)

    def requests(self, endpoint: str) -> list[Call]:
        return [call for call in self.calls if call.path.rstrip("/").endswith(f"/{endpoint}")]


@dataclass(frozen=True, slots=True)
class Finding:
    submission_id: str
    fault: Fault
    why: str


def is_settled(submission: SimSubmission, stored: Stored) -> bool:
    """Whether it has ended as it has to; a hold shows in the database alone."""
    deserved = deserts(submission)
    if not any(deserved.effects.values()):
        return submission.status is deserved.status and stored.is_held
    return submission.status is deserved.status


def judge(case: Case) -> list[Finding]:
    """Everything that is the matter with a submission; nothing if it is as it should be."""
    found = {Fault.LOST: _lost(case), Fault.DOUBLED: _doubled(case), Fault.WRONG: _wrong(case)}
    return [Finding(case.submission.id, fault, why) for fault, reasons in found.items() for why in reasons]


def _lost(case: Case) -> list[str]:
    deserved = deserts(case.submission)
    found = [
        f"{endpoint} never came about"
        for endpoint, number in deserved.effects.items()
        if case.effects(endpoint) < number
    ]
    if not any(deserved.effects.values()) and not case.stored.is_held:
        found.append("it is not held for a person")
    stored = {event["event_id"] for event in case.stored.events}
    found += [
        f"event {one} was answered 2xx and is not in the inbox"
        for one in case.acknowledged
        if one not in stored
    ]
    found += [
        f"event {e['event_id']} was never handled" for e in case.stored.events if e["handled_at"] is None
    ]
    found += [
        f"evidence of {e['source']} was never handled"
        for e in case.stored.evidence
        if e["handled_at"] is None
    ]
    return found


def _doubled(case: Case) -> list[str]:
    found = [
        f"{endpoint} took effect {case.effects(endpoint)} times"
        for endpoint in (TRANSITION, REQUEST_RETURN)
        if case.effects(endpoint) > 1
    ]
    bodies = {json.dumps(call.body, sort_keys=True) for call in case.requests(TRANSITION)}
    if len(bodies) > 1:
        found.append(f"different transitions were requested: {', '.join(sorted(bodies))}")
    return found


def _wrong(case: Case) -> list[str]:
    deserved = deserts(case.submission)
    found = []
    done = any(deserved.effects.values()) and all(
        case.effects(endpoint) >= number for endpoint, number in deserved.effects.items()
    )
    if case.submission.status is not deserved.status and (done or case.submission.status.is_final):
        found.append(f"it is {case.submission.status}, and deserves {deserved.status}")
    found += [
        f"{endpoint} was requested, and is not deserved"
        for endpoint, number in deserved.effects.items()
        if number == 0 and case.requests(endpoint)
    ]
    found += [
        f"decision {decision['id']} is still {decision['status']}"
        for decision in case.stored.decisions
        if decision["status"] in {"pending", "failed"}
    ]
    return found + _untrue(case) + _told_otherwise(case)


def _untrue(case: Case) -> list[str]:
    """Decisions on record as done against what Prolific's ledger says was done."""
    done = Counter(
        ENDPOINTS[Outcome(decision["outcome"])]
        for decision in case.stored.decisions
        if decision["status"] in DONE
    )
    return [
        f"{done[endpoint]} decisions are recorded as done by {endpoint}, and {case.effects(endpoint)} were"
        for endpoint in (TRANSITION, REQUEST_RETURN)
        if done[endpoint] != case.effects(endpoint)
    ]


def _told_otherwise(case: Case) -> list[str]:
    """The API against the database."""
    stored = {(row["id"], row["outcome"], row["status"]) for row in case.stored.decisions}
    told = {(row["id"], row["outcome"], row["status"]) for row in case.told["decisions"]}
    found = [f"the API tells other decisions than are stored: {told ^ stored}"] if told != stored else []
    if {row["event_id"] for row in case.told["events"]} != {row["event_id"] for row in case.stored.events}:
        found.append("the API tells other events than are stored")
    return found
