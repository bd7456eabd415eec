"""What the database knows of a submission that is fetched: its past, and numbers over others."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import Study, Submission
from service.review.guards import ANSWER_TIME
from service.review.judging import Known
from service.review.reckoning import reckon
from service.rules import RuleFile
from service.store.decisions import newest_return_request, was_decided
from service.store.inbox import told_of_final
from service.store.submissions import Seen


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
    asked_at = submission.return_requested_at or (asked.decided_at if asked else None)
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
        answer_until=(asked.recheck_at if asked else None) or (asked_at + ANSWER_TIME if asked_at else None),
    )
