"""A delivered webhook, before it is stored in the inbox."""

from dataclasses import dataclass

from service.domain.submission import FINAL, Status


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery. The texts are None if the body can't be read or is not about a submission."""

    event_id: str
    body: bytes
    signature: bytes | None = None  # the same for each copy of a signed body
    sent_at: str | None = None
    event_type: str | None = None
    submission_id: str | None = None
    participant_id: str | None = None
    status: str | None = None
    readable: bool = False

    @property
    def calls_for_review(self) -> bool:
        """Return True if the submission may await review, or has a status that Prolific does not document."""
        # The fetched submission decides, so an unneeded review costs only a call.
        return self.submission_id is not None and Status.parse(self.status or "") in {
            Status.AWAITING_REVIEW,
            Status.UNKNOWN,
        }

    @property
    def reports_end(self) -> bool:
        """Return True if a person decided the submission, or the participant returned it."""
        return Status.parse(self.status or "") in FINAL
