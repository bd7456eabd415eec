"""Evidence is compared with that of the study's other submissions, and the counts are kept in the decision."""

from typing import Any

import pytest
import sqlalchemy as sa

from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP
from service.store.tables import counted_values, text_signatures, value_counts
from tests.conftest import Start
from tests.world import World

RULES = f"""
version: 1
name: A test
studies: [{STROOP}]
evidence:
  survey:
    from: push
    fields:
      device: {{type: string, fingerprint: true}}
      essay: {{type: string, similar: true}}
      page_1: {{type: double, page_time: true}}
      page_2: {{type: int, page_time: true}}
rules:
  - name: seen before
    when: evidence.survey.device_seen_before >= 2
    hold: The device was seen {{evidence.survey.device_seen_before}} times.
  - name: fast reader
    when: stats.rsi > 2.0
    hold: fast
otherwise: approve
"""
ESSAY = "I thought that the first task was easy, but the second one took me much longer than I had expected."
COPY = "I thought that the first task was EASY but the second one took me much longer than I had expected!"


async def facts(world: World, fields: dict[str, Any], submission: SimSubmission | None = None) -> Any:
    submission = submission or world.completed()
    before = len(await world.decisions(submission.id))
    assert (await world.push(submission.id, fields)).status_code == 202
    return (await world.settled(submission.id, decisions=before + 1))["facts"]


async def test_equal_values_and_near_copies_are_counted(start: Start) -> None:
    async with start(RULES) as world:
        first = await facts(world, {"device": "d1", "essay": ESSAY})
        assert first["evidence"]["survey"]["device_seen_before"] == 0
        assert first["evidence"]["survey"]["essay_similar_before"] == 0
        other = await facts(world, {"device": "d2", "essay": "Something else, " * 8})
        assert other["evidence"]["survey"]["device_seen_before"] == 0
        second = await facts(world, {"device": "d1", "essay": COPY})
        assert second["evidence"]["survey"]["device_seen_before"] == 1
        assert second["evidence"]["survey"]["essay_similar_before"] == 1
        third = world.completed()
        await facts(world, {"device": "d1"}, third)
        [decision] = await world.decisions(third.id)
        assert decision["reason"].endswith("The device was seen 2 times.")
        corrected = await facts(world, {"device": "d3"}, third)
        assert corrected["evidence"]["survey"]["device_seen_before"] == 0
        last = await facts(world, {"device": "d1"})
        assert last["evidence"]["survey"]["device_seen_before"] == 2
        async with world.service.database.connect() as connection:
            for table in (counted_values, value_counts, text_signatures):
                rows = repr((await connection.execute(sa.select(table))).all())
                assert "'d1'" not in rows
                assert "first task" not in rows


async def test_reading_speed_is_relative_to_the_others_median(start: Start) -> None:
    async with start(RULES) as world:
        for seconds in (10, 20, 30):
            found = await facts(
                world, {"device": f"d{seconds}", "page_1": float(seconds), "page_2": 2 * seconds}
            )
        assert found["stats"]["rsi"] == pytest.approx(0.5, rel=0.011)
        fast = await facts(world, {"device": "fast", "page_1": 8.0, "page_2": 16})
        assert fast["stats"]["rsi"] == pytest.approx(2.5, rel=0.011)
