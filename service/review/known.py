"""Everything that a decision depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.domain.decision import ANSWER_TIME, Facts
from service.domain.evidence import EvidenceOrigin
from service.domain.submission import Study, Submission
from service.store.history import History, Unconfirmed, Version

# How long a request without an answer may take to show at Prolific. After that, the status that Prolific shows counts.
SETTLED_AFTER = timedelta(minutes=10)

# Prolific's clock and the database's may differ. Where their times must be compared, this margin is added in the
# participant's favour: earlier messages count as replies, and the time to answer is longer.
CLOCK_MARGIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Known:
    """A submission as Prolific shows it, its study, statistics over others, and its history here.

    ``now`` is the time of the decision. ``replied`` says why the participant counts as having replied to a request
    to return, None without a reply or a lookup. ``seen_at`` is when each group of facts was fetched, if the history
    does not say so. ``compared`` has the facts of each source of evidence that count other submissions.
    """

    submission: Submission
    study: Study | None
    statistics: Facts
    history: History
    now: datetime
    replied: str | None = None
    seen_at: Mapping[str, datetime] = field(default_factory=dict)
    compared: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def all_seen_at(self) -> dict[str, datetime]:
        """Return when each group of facts was fetched, received or counted."""
        received = {
            f"evidence.{version.source}": version.received_at for version in reversed(self.history.evidence)
        }
        return {**self.seen_at, **dict.fromkeys(self.statistics, self.now), **received}

    @property
    def evidence(self) -> dict[str, Mapping[str, Any]]:
        """Return the newest payload of each source."""
        return {version.source: version.payload for version in reversed(self.history.evidence)}

    @property
    def browser(self) -> frozenset[str]:
        """Return the sources whose newest payload the participant's browser sent."""
        newest = {version.source: version.origin for version in reversed(self.history.evidence)}
        return frozenset(source for source, origin in newest.items() if origin is EvidenceOrigin.BROWSER)

    def versions(self, source: str) -> list[Version]:
        """Return a source's payloads after completion, newest first."""
        since = compared_since(self.submission)
        found = [version for version in self.history.evidence if version.source == source]
        return [version for version in found if since is None or version.received_at >= since]

    @property
    def completed_by(self) -> datetime:
        """Return the time of completion, or of the first fetch if Prolific gives none."""
        return self.submission.completed_at or self.history.first_seen_at or self.now

    @property
    def was_decided(self) -> bool:
        """Return True if it was ever seen in a final status, or decided by a person or the rules."""
        return self.history.ever_final or self.history.ended or self.history.decided

    @property
    def unconfirmed(self) -> Unconfirmed | None:
        """Return a request that may have arrived, while Prolific may still show its result."""
        sent = self.history.unconfirmed
        return sent if sent and self.history.now - sent.sent_at < SETTLED_AFTER else None

    @property
    def was_asked(self) -> bool:
        """Return True if the participant was asked to return it, by this service or by somebody else."""
        return self.history.asked is not None or self.submission.return_requested_at is not None

    @property
    def answer_until(self) -> datetime | None:
        """Return the end of the participant's time to answer a request to return, by the database's clock."""
        asked, shown = self.history.asked, self.submission.return_requested_at
        time = asked.recheck_at - asked.decided_at if asked and asked.recheck_at else ANSWER_TIME
        if asked and not _is_another(shown, asked.sent_at):
            return asked.sent_at + time
        return shown + time + CLOCK_MARGIN if shown else None

    @property
    def ask_again_at(self) -> datetime | None:
        """Return when to decide again while the rules still propose the request to return, None if never."""
        until = self.answer_until
        # Rules measure the time to answer from Prolific's time of the request, and its clock may be ahead. If they
        # don't propose another outcome when the time is over, they are evaluated again after the margin.
        if until is None or self.now < until:
            return until
        return until + CLOCK_MARGIN if self.now < until + CLOCK_MARGIN else None

    @property
    def replies_since(self) -> datetime | None:
        """Return the time from which messages count as replies to the request to return, by Prolific's clock."""
        asked, shown = self.history.asked, self.submission.return_requested_at
        # By Prolific's own clock, which also stamps the messages.
        if shown is not None and not (asked and _is_another(shown, asked.sent_at)):
            return shown
        return asked.sent_at - CLOCK_MARGIN if asked else None


def compared_since(submission: Submission) -> datetime | None:
    """Return the time from which a source's values count as sent after completion; None: all of them do.

    The database's clock gives the time of receipt, Prolific's the time of completion.
    """
    return submission.completed_at - CLOCK_MARGIN if submission.completed_at else None


def _is_another(shown: datetime | None, sent_at: datetime) -> bool:
    """Return True if Prolific shows a request made after ours: it shows only the newest."""
    return shown is not None and shown > sent_at + CLOCK_MARGIN
