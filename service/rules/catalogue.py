"""Each fact's one declaration: its type, unit, source, meaning and default in a test.

The types of conditions, the JSON Schema, the guide's table and the defaults of tests come from here. The value
of a fact is computed in ``service.review``; tests compare the two.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

from service.rules.evidence import RECEIVED
from service.rules.facts import FieldType, Plain

PROLIFIC, SERVICE = "Prolific", "this service"


class Default(Enum):
    """The default of a fact in a test, if that is not a fixed value."""

    MISSING = auto()
    COMPUTED = auto()
    """Computed in ``service.rules.cases.case`` from the facts that the test gives."""


class Fact(NamedTuple):
    """A fact that rules can name. ``default`` is its value in a test that does not give it."""

    name: str
    type: FieldType
    meaning: str
    origin: str
    default: Plain | Default
    unit: str = ""
    may_be_missing: bool = False


_INT, _DOUBLE, _BOOL = FieldType.INT, FieldType.DOUBLE, FieldType.BOOL
_STRING, _TIME = FieldType.STRING, FieldType.TIMESTAMP

_DECLARED = (
    Fact("submission.id", _STRING, "the submission's id", PROLIFIC, "submission"),
    Fact("submission.study_id", _STRING, "the study's id", PROLIFIC, Default.COMPUTED),
    Fact("submission.participant_id", _STRING, "the participant's id", PROLIFIC, "participant"),
    Fact(
        "submission.status",
        _STRING,
        "the status in Prolific's words, `AWAITING REVIEW`",
        PROLIFIC,
        "AWAITING REVIEW",
    ),
    Fact("submission.started_at", _TIME, "when the participant began", PROLIFIC, Default.COMPUTED),
    Fact(
        "submission.completed_at",
        _TIME,
        "when the participant finished",
        PROLIFIC,
        Default.COMPUTED,
        may_be_missing=True,
    ),
    Fact(
        "submission.time_taken",
        _INT,
        "time from start to completion",
        PROLIFIC,
        Default.COMPUTED,
        unit="seconds",
        may_be_missing=True,
    ),
    Fact(
        "submission.pace",
        _DOUBLE,
        "time taken divided by the estimated time: 0.5 is twice as fast as estimated",
        SERVICE,
        Default.COMPUTED,
        unit="ratio",
        may_be_missing=True,
    ),
    Fact(
        "submission.entered_code",
        _STRING,
        "the code as the participant typed it",
        PROLIFIC,
        Default.COMPUTED,
        may_be_missing=True,
    ),
    Fact(
        "submission.code_type",
        _STRING,
        "the type of the code entered, `COMPLETED`; `NONE` without a code, `UNKNOWN` if it is none of the study's",
        SERVICE,
        "COMPLETED",
        may_be_missing=True,
    ),
    Fact(
        "submission.return_requested",
        _BOOL,
        "whether the participant was asked to return it",
        PROLIFIC,
        False,
    ),
    Fact(
        "submission.return_requested_at",
        _TIME,
        "when they were asked to",
        PROLIFIC,
        Default.MISSING,
        may_be_missing=True,
    ),
    Fact("study.id", _STRING, "the study's id", PROLIFIC, Default.COMPUTED),
    Fact("study.name", _STRING, "the study's name", PROLIFIC, "Study"),
    Fact("study.status", _STRING, "the study's status, `ACTIVE`", PROLIFIC, "ACTIVE"),
    Fact(
        "study.estimated_completion_time",
        _DOUBLE,
        "the researcher's estimate",
        PROLIFIC,
        10.0,
        unit="minutes",
    ),
    Fact(
        "study.maximum_allowed_time",
        _DOUBLE,
        "after this Prolific ends a submission",
        PROLIFIC,
        60.0,
        unit="minutes",
    ),
    Fact("study.reward", _INT, "what a submission is paid", PROLIFIC, 150, unit="minor units (pence, cents)"),
    Fact("study.total_available_places", _INT, "how many may take part", PROLIFIC, 100),
    Fact(
        "study.metadata", _STRING, "the study's internal note", PROLIFIC, Default.MISSING, may_be_missing=True
    ),
    Fact(
        "stats.count",
        _INT,
        "how many of the study's submissions the statistics are of: those with a completion time that await review or were approved, partly approved or rejected, this one left out",
        SERVICE,
        Default.MISSING,
        may_be_missing=True,
    ),
    Fact(
        "stats.mean",
        _DOUBLE,
        "mean of their times taken",
        SERVICE,
        Default.MISSING,
        unit="seconds",
        may_be_missing=True,
    ),
    Fact(
        "stats.sd",
        _DOUBLE,
        "standard deviation of these",
        SERVICE,
        Default.MISSING,
        unit="seconds",
        may_be_missing=True,
    ),
    Fact(
        "stats.median",
        _DOUBLE,
        "median of these",
        SERVICE,
        Default.MISSING,
        unit="seconds",
        may_be_missing=True,
    ),
    Fact(
        "stats.z",
        _DOUBLE,
        "this one's time against them, in standard deviations; missing below two, or where all took the same",
        SERVICE,
        Default.MISSING,
        unit="standard deviations",
        may_be_missing=True,
    ),
    Fact(
        "stats.log_z",
        _DOUBLE,
        "the same with logarithms, the median and the median absolute deviation (divided by 0.6745): robust, as times are "
        "skewed; below -2.5 is fast",
        SERVICE,
        Default.MISSING,
        unit="robust standard deviations",
        may_be_missing=True,
    ),
    Fact(
        "stats.rsi",
        _DOUBLE,
        "relative speed index: how many times faster than the others' median the pages were read, on average over the "
        "fields with `page_time: true`, 3 at most of each page; 1 is usual, 2 very fast",
        SERVICE,
        Default.MISSING,
        unit="ratio",
        may_be_missing=True,
    ),
    Fact(
        "stats.fast_outlier",
        _BOOL,
        "whether it is more than three standard deviations below the mean; missing below 30 submissions",
        SERVICE,
        Default.MISSING,
        may_be_missing=True,
    ),
    Fact("participant.submissions", _INT, "the participant's submissions that this service saw", SERVICE, 0),
    Fact("participant.approved", _INT, "how many of these were approved", SERVICE, 0),
    Fact("participant.rejected", _INT, "how many were rejected", SERVICE, 0),
    Fact("participant.returned", _INT, "how many were returned", SERVICE, 0),
    Fact("now", _TIME, "the time of the review", SERVICE, Default.COMPUTED),
)

CATALOGUE: Mapping[str, Fact] = {fact.name: fact for fact in _DECLARED}
FACTS: Mapping[str, FieldType] = {fact.name: fact.type for fact in _DECLARED}


def origin(fact: str) -> str:
    """The origin of a fact: Prolific, this service, or a source of evidence."""
    if fact in CATALOGUE:
        return CATALOGUE[fact].origin
    source, _, field = fact.removeprefix("evidence.").partition(".")
    return SERVICE if field == RECEIVED else f"evidence {source}"
