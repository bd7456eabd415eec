"""What the database knows of a submission that is fetched: its past, and numbers over others."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Decision
from service.domain.submission import Study, Submission
from service.review.guards import ANSWER_TIME
from service.review.judging import Known
from service.review.reckoning import reckon
from service.rules import RuleFile
from service.store.decisions import newest_return_request, was_decided
from service.store.inbox import told_of_final
from service.store.submissions import Seen

SENT_AT_ONCE = timedelta(minutes=1)


async def recall(
    connection: AsyncConnection,
    rule_file: RuleFile,
    submission: Submission,
    study: Study | None,
    said: Mapping[str, Mapping[str, Any]],
    seen: Seen,
) -> Known:
    """All that a judgement rests on. Reads only."""
    asked = await newest_return_request(connection, submission.id)
    asked_at = _asked_at(submission, asked)
    return Known(
        submission=submission,
        study=study,
        said=said,
        reckoned=await reckon(connection, submission, rule_file),
        completed_by=seen.first_seen_at,
        decided_before=(
            seen.ever_final
            or await told_of_final(connection, submission.id)
            or await was_decided(connection, submission.id)
        ),
        asked_at=asked_at,
        answer_until=asked_at + _answer_time(asked) if asked_at else None,
    )


def _answer_time(asked: Decision | None) -> timedelta:
    """How long the participant has, from when they were really asked: the rule's time, else a week."""
    return asked.recheck_at - asked.decided_at if asked and asked.recheck_at else ANSWER_TIME


def _asked_at(submission: Submission, asked: Decision | None) -> datetime | None:
    """Prolific's time where it came much later than our decision; else ours, which the timer goes by."""
    told = submission.return_requested_at
    if asked and (told is None or told - asked.decided_at < SENT_AT_ONCE):
        return asked.decided_at
    return told
