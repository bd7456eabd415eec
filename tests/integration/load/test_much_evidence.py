"""Evidence without end for one submission: a review reads the newest and the first of each source, and all is handled."""

import pytest

from service.store.history import VERSIONS, history_of
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.world import rules_text

FAILED = """
  - name: failed a check
    when: evidence.survey.attention_failed >= 2
    hold: look
"""
# The newest payload has the number of all.
ADD = """
    INSERT INTO evidence (source, submission_id, payload)
    SELECT 'survey', %(id)s, jsonb_build_object('attention_failed', s, 'comment', repeat('x', %(length)s))
    FROM generate_series(1, %(number)s) AS s
"""


@pytest.mark.parametrize(("number", "length"), [(2_000, 60_000), (66_001, 10)])
async def test_review_reads_the_newest_and_the_first_payloads_and_no_more(
    start: Start, database_url: str, number: int, length: int
) -> None:
    async with start(rules_text(FAILED)) as world:
        submission = world.completed()
        await query(database_url, ADD, id=submission.id, number=number, length=length)
        decision = await world.reviewed(submission)
        assert decision["outcome"] == "hold"
        assert decision["facts"]["evidence"]["survey"]["attention_failed"] == number
        assert await query(database_url, "SELECT FROM evidence WHERE handled_at IS NULL LIMIT 1") == []
        async with world.service.database.connect() as connection:
            history = await history_of(
                connection, submission.id, study=None, participant=None, sources=["survey"]
            )
        newest = [number - age for age in range(VERSIONS)]
        first = range(VERSIONS, 0, -1)
        assert [one.payload["attention_failed"] for one in history.evidence] == [*newest, *first]
        shown = await world.api(f"submissions/{submission.id}")
        assert shown["evidence"][0]["payload"]["attention_failed"] == number
        assert len(shown["evidence"]) == 100
