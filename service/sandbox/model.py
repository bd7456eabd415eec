"""Studies, submissions and received calls of the simulated Prolific."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.domain.submission import PARTICIPANT, RESEARCHER, Status

Body = dict[str, Any]

# Seconds that a study's page takes to change after each of these. They are the sandbox's own: Prolific documents none.
BULK_APPROVAL_TAKES = 20.0


class By(StrEnum):
    """Who changed a submission's status."""

    PARTICIPANT = "participant"
    API = "api"
    BULK = "bulk-approve"
    SOMEBODY = "somebody"  # the control routes: a colleague, Prolific itself


@dataclass(slots=True)
class SimStudy:
    """A study. ``body`` is the JSON of its detail. Only its submissions name its parent."""

    body: Body
    parent_id: str | None = None

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def reward(self) -> float:
        return float(self.body["reward"])

    @property
    def name(self) -> str:
        return str(self.body["name"])

    def participant_code(self, entered: str | None) -> Mapping[str, Any] | None:
        return self._code(entered, PARTICIPANT)

    def researcher_code(self, code: str) -> Mapping[str, Any] | None:
        return self._code(code, RESEARCHER)

    def _code(self, code: str | None, actor: str) -> Mapping[str, Any] | None:
        for known in self.body["completion_codes"]:
            if known["code"] is not None and known["code"] == code and known["actor"] == actor:
                return dict(known)
        return None


def actions_of(code: Mapping[str, Any]) -> set[str]:
    return {action["action"] for action in code["actions"]}


@dataclass(frozen=True, slots=True)
class ReturnAnswer:
    """What a participant does when asked to return: at once, after some simulated seconds, or never (None)."""

    after: float | None = None

    @property
    def at_once(self) -> bool:
        return self.after == 0


@dataclass(frozen=True, slots=True)
class Change:
    at: datetime
    status: Status
    by: By


@dataclass(slots=True)
class SimSubmission:
    """A submission. ``kind`` and ``deserves`` are what a simulated participant is and ought to get."""

    id: str
    study_id: str
    participant_id: str
    started_at: datetime
    status: Status = Status.RESERVED
    completed_at: datetime | None = None
    time_taken: int | None = None
    entered_code: str | None = None
    return_requested: datetime | None = None
    answer_to_return: ReturnAnswer = field(default_factory=ReturnAnswer)
    last_request: Body | None = None  # the transition that was carried out: its repeat changes nothing
    history: list[Change] = field(default_factory=list)
    kind: str | None = None
    deserves: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A mutating call of the API, as received, and what it was answered."""

    at: datetime
    method: str
    path: str
    body: Any
    submission_ids: tuple[str, ...]
    status_code: int
    answer: Any
    affected: tuple[str, ...]  # the submissions it changed, at once or (bulk approval) soon
