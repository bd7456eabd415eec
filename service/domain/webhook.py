"""A webhook as it was delivered, before it is stored in the inbox."""

from dataclasses import dataclass

from service.domain.submission import FINAL, Status


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery. The texts are None where the body can't be read, or is about something other than a submission."""

    event_id: str
    body: bytes
    signature: bytes | None = None  # of what was signed, so the same for each copy of it
    sent_at: str | None = None
    event_type: str | None = None
    submission_id: str | None = None
    participant_id: str | None = None
    status: str | None = None
    readable: bool = False

    @property
    def calls_for_review(self) -> bool:
        """A hint that a submission awaits review, in whatever spelling.

        A status Prolific never named is looked at too: the fetched submission decides anyhow.
        """
        return self.submission_id is not None and Status.parse(self.status or "") in {
            Status.AWAITING_REVIEW,
            Status.UNKNOWN,
        }

    @property
    def tells_of_end(self) -> bool:
        """A hint that somebody decided the submission, or the participant gave it up."""
        return Status.parse(self.status or "") in FINAL
