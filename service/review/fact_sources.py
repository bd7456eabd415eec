"""The source of each fact of a review, for people."""

from collections.abc import Mapping
from datetime import UTC, datetime

from service.review.known import Known
from service.rules.rulefile import PARTICIPANT, STATS

COMPUTED = {
    "submission.pace": "computed: the time taken divided by the study's estimate",
    "submission.code_type": "computed: the entered code, looked up in Prolific's study",
}


def source_of(fact: str, known: Known, pushed: Mapping[str, datetime]) -> str:
    """Return where a fact comes from: Prolific, an evidence source and the time of its push, or a computation."""
    group, _, rest = fact.partition(".")
    # Prolific leaves it out of single submissions.
    if fact == "submission.time_taken" and not known.submission.time_taken:
        return "computed: from Prolific's two times"
    if fact in COMPUTED:
        return COMPUTED[fact]
    if group == "evidence":
        return _evidence(rest.partition(".")[0], pushed)
    if group == STATS and not known.statistics.get(STATS):
        return "Prolific's list of the study was not read yet"
    return {
        "submission": "Prolific's submission",
        "study": "Prolific's study",
        STATS: "computed: over the study's submissions",
        PARTICIPANT: "computed: over the participant's other submissions",
    }.get(group, "this machine's clock")


def _evidence(source: str, pushed: Mapping[str, datetime]) -> str:
    at = pushed.get(source)
    return (
        f"{source}, pushed at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else f"{source}, not pushed"
    )
