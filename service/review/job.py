"""A review: its job, and the result of its decision step."""

from dataclasses import dataclass

from service.domain.decision import Trigger
from service.store.decisions import Recorded
from service.store.queue import Lease


@dataclass(frozen=True, slots=True)
class ReviewJob:
    """A request to review one submission.

    ``tries`` counts the runs of this job. ``again`` is True for the `retry` command, which sends a failed decision
    again. ``lease`` is the job's row in the queue, None if the review does not come from the queue.
    """

    submission_id: str
    trigger: Trigger
    tries: int = 1
    again: bool = False
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A decision in the database. Its request is sent if there is an ``attempt``.

    ``ignores_evidence`` is True if a payload that names another participant was ignored.
    """

    recorded: Recorded
    attempt: int | None = None
    is_new: bool = False
    ignores_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """A review without a request to send. ``unread`` are the evidence rows that it handled."""

    recording: Recording | None = None
    unread: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send now. It is stored as an attempt."""

    recording: Recording
    attempt: int
    unread: tuple[int, ...] = ()
