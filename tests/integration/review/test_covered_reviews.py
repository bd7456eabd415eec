"""A review that finds nothing new fetches nothing, so it handles nothing: also not what arrives meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.review.job import ReviewJob
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.world import rules_text


class LateCommit:
    """A database in which a webhook, received just before, is committed after the first statement of a review."""

    def __init__(self, database: Any, url: str, submission: str) -> None:
        self._database, self._url, self._submission, self._asked = database, url, submission, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.single() as connection:
            yield connection
        self._asked += 1
        if self._asked == 1:
            await query(self._url, WEBHOOK, id=self._submission)


WEBHOOK = """
    INSERT INTO inbox (event_id, received_at, event_type, submission_id, status, body, readable)
    VALUES ('late', now() - interval '1 second', 'submission.status.change', %(id)s, 'AWAITING REVIEW', '', true)
    RETURNING event_id
"""


async def test_a_webhook_that_is_committed_during_a_covered_review_stays_unhandled(
    start: Start, database_url: str
) -> None:
    async with start(rules_text()) as world:
        one = world.completed()
        reviewer = world.service.reviewer
        assert reviewer
        late: Any = LateCommit(reviewer.database, database_url, one.id)
        assert await replace(reviewer, database=late).review(ReviewJob(one.id, Trigger.EVIDENCE)) is None
        assert await query(database_url, "SELECT event_id FROM inbox WHERE handled_at IS NULL") == [
            {"event_id": "late"}
        ]
        assert await replace(reviewer).review(ReviewJob(one.id, Trigger.WEBHOOK)) is not None
