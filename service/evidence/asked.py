"""The interface of sources that are asked: a submission in; values, *not yet* or *failed* out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

LONGEST_WAIT = 10.0  # seconds for one answer, whatever the source is


@dataclass(frozen=True, slots=True)
class Asked:
    """The submission that a source is asked about."""

    submission_id: str
    participant_id: str | None
    study_id: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A source's values for a submission, by its own names. ``place`` is their position, for messages."""

    document: Mapping[str, Any]
    place: str = ""


@dataclass(frozen=True, slots=True)
class NotYet:
    """A source that works and has nothing of the submission so far."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that could not be asked, or whose answer can't be used. Secrets never stand in ``reason``."""

    reason: str


Outcome = Answered | NotYet | Failed


class Client(Protocol):
    """Asks one source. Must not raise, and ends within ``LONGEST_WAIT`` seconds or is cancelled."""

    async def fetch(self, asked: Asked) -> Outcome:
        """Ask for what is known of a submission."""


def shortened(text: object, most: int = 200) -> str:
    """Return a text for reasons: one line of limited length."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[:most]}…"
