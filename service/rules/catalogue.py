"""What each fact means, in which unit, and who says so: for the guide, the schema and ``explain``."""

from collections.abc import Mapping
from typing import NamedTuple

from service.rules.evidence import RECEIVED

PROLIFIC, SERVICE = "Prolific", "this service"


class About(NamedTuple):
    meaning: str
    origin: str
    unit: str = ""
    may_be_missing: bool = False


CATALOGUE: Mapping[str, About] = {
    "submission.id": About("the submission's id", PROLIFIC),
    "submission.study_id": About("the study's id", PROLIFIC),
    "submission.participant_id": About("the participant's id", PROLIFIC),
    "submission.status": About("the status in Prolific's words, `AWAITING REVIEW`", PROLIFIC),
    "submission.started_at": About("when the participant began", PROLIFIC),
    "submission.completed_at": About("when the participant finished", PROLIFIC, may_be_missing=True),
    "submission.time_taken": About("time from start to completion", PROLIFIC, "seconds", may_be_missing=True),
    "submission.pace": About(
        "time taken divided by the estimated time: 0.5 is twice as fast as estimated",
        SERVICE,
        "ratio",
        may_be_missing=True,
    ),
    "submission.entered_code": About("the code as the participant typed it", PROLIFIC, may_be_missing=True),
    "submission.code_type": About(
        "the type of the code entered, `COMPLETED`; `NONE` without a code, `UNKNOWN` if it is none of the study's",
        SERVICE,
        may_be_missing=True,
    ),
    "submission.return_requested": About("whether the participant was asked to return it", PROLIFIC),
    "submission.return_requested_at": About("when they were asked to", PROLIFIC, may_be_missing=True),
    "study.id": About("the study's id", PROLIFIC),
    "study.name": About("the study's name", PROLIFIC),
    "study.status": About("the study's status, `ACTIVE`", PROLIFIC),
    "study.estimated_completion_time": About("the researcher's estimate", PROLIFIC, "minutes"),
    "study.maximum_allowed_time": About("after this Prolific ends a submission", PROLIFIC, "minutes"),
    "study.reward": About("what a submission is paid", PROLIFIC, "minor units (pence, cents)"),
    "study.total_available_places": About("how many may take part", PROLIFIC),
    "study.metadata": About("the study's internal note", PROLIFIC, may_be_missing=True),
    "stats.count": About(
        "how many of the study's submissions the statistics are of: those with a completion time that await "
        "review or were approved, partly approved or rejected, this one left out",
        SERVICE,
        may_be_missing=True,
    ),
    "stats.mean": About("mean of their times taken", SERVICE, "seconds", may_be_missing=True),
    "stats.sd": About("standard deviation of these", SERVICE, "seconds", may_be_missing=True),
    "stats.median": About("median of these", SERVICE, "seconds", may_be_missing=True),
    "stats.z": About(
        "this one's time against them, in standard deviations; missing below two, or where all took the same",
        SERVICE,
        "standard deviations",
        may_be_missing=True,
    ),
    "stats.fast_outlier": About(
        "whether it is more than three standard deviations below the mean; missing below 30 submissions",
        SERVICE,
        may_be_missing=True,
    ),
    "participant.submissions": About("the participant's submissions that this service saw", SERVICE),
    "participant.approved": About("how many of these were approved", SERVICE),
    "participant.rejected": About("how many were rejected", SERVICE),
    "participant.returned": About("how many were returned", SERVICE),
    "now": About("the time of the review", SERVICE),
}


def origin(fact: str) -> str:
    """Who says so: Prolific, this service, or a source of evidence."""
    if fact in CATALOGUE:
        return CATALOGUE[fact].origin
    source, _, field = fact.removeprefix("evidence.").partition(".")
    return SERVICE if field == RECEIVED else f"evidence {source}"
