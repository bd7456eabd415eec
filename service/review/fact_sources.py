"""Where each fact of a review comes from, in words for people."""

from collections.abc import Mapping
from datetime import UTC, datetime

from service.review.known import Known
from service.rules.rulefile import PARTICIPANT, STATS

RECKONED = {
    "submission.pace": "reckoned: the time taken against the study's estimate",
    "submission.code_type": "reckoned: the code entered, among those of Prolific's study",
}


def source_of(fact: str, known: Known, pushed: Mapping[str, datetime]) -> str:
    """Prolific's submission or study, a source of evidence and when it pushed, or what it was reckoned from."""
    group, _, rest = fact.partition(".")
    if fact == "submission.time_taken" and not known.submission.time_taken:
        return "reckoned: from Prolific's two times"
    if fact in RECKONED:
        return RECKONED[fact]
    if group == "evidence":
        return _evidence(rest.partition(".")[0], pushed)
    if group == STATS and not known.statistics.get(STATS):
        return "Prolific's list of the study was not read yet"
    return {
        "submission": "Prolific's submission",
        "study": "Prolific's study",
        STATS: "reckoned: over the study's submissions",
        PARTICIPANT: "reckoned: over the participant's other submissions seen",
    }.get(group, "this machine's clock")


def _evidence(source: str, pushed: Mapping[str, datetime]) -> str:
    at = pushed.get(source)
    return (
        f"{source}, pushed at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else f"{source}, not pushed"
    )
