"""The sixteen query parameters of Prolific's list of submissions."""

from dataclasses import dataclass, fields
from datetime import date

from service.domain.submission import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionFilter:
    """A filter of submissions. None leaves a parameter out. Prolific requires ``study``.

    ``submitted_from`` and ``submitted_before`` bound the day of completion (the latter excluded). ``ordering`` is
    ``started_at``, ``submission_reward`` or ``study_name``, with ``-`` before it for descending order.
    """

    study: str | None = None
    status: Status | str | None = None
    completed: bool | None = None
    returned: bool | None = None
    awaiting_review: bool | None = None
    approved: bool | None = None
    active: bool | None = None
    timeout: bool | None = None
    rejected: bool | None = None
    screened_out: bool | None = None
    completeoractive: bool | None = None
    submitted_from: date | None = None
    submitted_before: date | None = None
    ordering: str | None = None
    page: int | None = None
    page_size: int | None = None

    def as_query(self) -> dict[str, str]:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: _spelt(name, value) for name, value in given if value is not None}

    def accepts(self, status: Status) -> bool:
        """Return True for a row of a wanted status. Prolific sometimes ignores the parameter ``status``."""
        wanted = Status.UNKNOWN if self.status is None else Status.parse(self.status)
        return wanted in (Status.UNKNOWN, status)


def _spelt(name: str, value: Status | str | bool | date | int) -> str:
    if name == "status":
        return status_in_query(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    # The only dates of the API that are not ISO 8601.
    if isinstance(value, date):
        return value.strftime("%d/%m/%Y")
    return str(value)


def status_in_query(status: str) -> str:
    """Spell a status as filters do: ``AWAITING_REVIEW``, but ``TIMED-OUT`` with its hyphen."""
    known = Status.parse(status)
    # A status that is newer than this version: sent as it was given.
    if known is Status.UNKNOWN:
        return status
    return known.value.replace(" ", "_")
