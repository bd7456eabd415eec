"""Facts computed over other submissions: ``stats.`` and ``participant.``."""

from dataclasses import asdict
from math import log
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Facts
from service.domain.spread import NORMAL
from service.domain.submission import Submission
from service.review.facts import time_taken
from service.rules.rulefile import PARTICIPANT, STATS, RuleFile
from service.store.statistics import Times, past_of_participant, times_of_study

MIN_SUBMISSIONS = 30  # submissions; with fewer, no submission counts as an outlier
OUTLIER = 3  # standard deviations
SHOWN = ("count", "mean", "sd", "median")


async def statistics_of(
    connection: AsyncConnection, submission: Submission, rule_file: RuleFile, rsi: float | None = None
) -> Facts:
    """Compute the groups of facts that the file uses, from the database. Other groups are absent.

    ``stats`` is empty until Prolific's list of the study was read completely. ``participant`` counts the
    participant's other submissions in all studies seen, without this one. ``rsi`` was computed from evidence.
    """
    groups, found = rule_file.groups, Facts()
    if STATS in groups:
        times = await times_of_study(connection, submission.study_id or "", without=submission.id)
        found[STATS] = stats_facts(times, time_taken(submission), rsi) if times else {}
    if PARTICIPANT in groups:
        participant = submission.participant_id
        past = (
            await past_of_participant(connection, participant, without=submission.id) if participant else None
        )
        found[PARTICIPANT] = asdict(past) if past else {}
    return found


def stats_facts(times: Times, taken: int | None, rsi: float | None = None) -> dict[str, Any]:
    """Return the statistics, and how ``taken`` seconds compare with them. Unknown values are absent."""
    facts = {name: getattr(times, name) for name in SHOWN if getattr(times, name) is not None}
    if rsi is not None:
        facts["rsi"] = rsi
    # Equal times have no deviation to compare with.
    if taken and times.log_median is not None and times.log_deviation:
        facts["log_z"] = (log(taken) - times.log_median) * NORMAL / times.log_deviation
    if taken is None or times.mean is None or times.sd is None:
        return facts
    if times.sd:
        facts["z"] = (taken - times.mean) / times.sd
    # Prolific's policy allows a rejection for speed only for statistical outliers, which few times can't
    # show.
    if times.count >= MIN_SUBMISSIONS:
        facts["fast_outlier"] = taken < times.mean - OUTLIER * times.sd
    return facts
