"""A submission and its study, as Prolific shows them."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,100}")  # of a submission

PARTICIPANT = "participant"
RESEARCHER = "researcher"


class Status(StrEnum):
    """A submission's status in the spelling of Prolific's bodies."""

    RESERVED = "RESERVED"
    ACTIVE = "ACTIVE"
    TIMED_OUT = "TIMED-OUT"
    AWAITING_REVIEW = "AWAITING REVIEW"
    APPROVED = "APPROVED"
    PARTIALLY_APPROVED = "PARTIALLY APPROVED"
    RETURNED = "RETURNED"
    REJECTED = "REJECTED"
    SCREENED_OUT = "SCREENED OUT"
    PROCESSING = "PROCESSING"
    UNKNOWN = "UNKNOWN"

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text: str) -> "Status":
        """Return the status in any of Prolific's spellings (``AWAITING_REVIEW``, ``awaiting review``), else UNKNOWN."""
        # Prolific writes a status with spaces, hyphens or underscores, in upper and lower case.
        name = re.sub(r"[\s_-]+", "_", text.strip()).upper()
        return cls.__members__.get(name, cls.UNKNOWN)

    @property
    def is_final(self) -> bool:
        """Return True if somebody decided the submission, or the participant returned it."""
        return self in FINAL


FINAL = frozenset(
    {
        Status.APPROVED,
        Status.PARTIALLY_APPROVED,
        Status.REJECTED,
        Status.RETURNED,
        Status.SCREENED_OUT,
    },
)


@dataclass(frozen=True, slots=True)
class CompletionCode:
    """A completion code of a study. ``actor`` may enter it: ``participant`` or ``researcher``."""

    code: str | None
    code_type: str
    actor: str = PARTICIPANT
    actions: tuple[str, ...] = ()

    @property
    def pays_dynamically(self) -> bool:
        return "DYNAMIC_PAYMENT" in self.actions


@dataclass(frozen=True, slots=True)
class Study:
    """A study. Completion and maximum times are in minutes, the reward in minor units."""

    id: str
    name: str
    status: str
    estimated_completion_time: float | None
    maximum_allowed_time: float | None
    reward: int | None
    total_available_places: int | None
    metadata: str | None
    completion_codes: tuple[CompletionCode, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission. ``time_taken`` is in seconds, if Prolific gives it, ``entered_code`` as typed.

    ``parent_study_id`` is set if the study is part of a quota or a representative-sample study.
    """

    id: str
    study_id: str | None
    participant_id: str | None
    status: Status
    started_at: datetime | None = None
    completed_at: datetime | None = None
    time_taken: int | None = None
    entered_code: str | None = None
    return_requested_at: datetime | None = None
    parent_study_id: str | None = None
