"""Gauges that are read from the database."""

import math
import re
from datetime import datetime

from service.ops.gauges import Gauges
from tests.conftest import Start
from tests.world import rules_text


async def test_the_next_deadline_is_that_of_the_first_hold_and_none_without_holds(start: Start) -> None:
    async with start(rules_text(otherwise="hold")) as world:

        async def next_deadline() -> float:
            await Gauges(world.service.database, world.service.metrics).look()
            shown = (await world.http.get("/metrics")).text
            (value,) = re.findall(r"^autoreview_next_deadline_timestamp_seconds (\S+)$", shown, re.MULTILINE)
            return float(value)

        assert math.isnan(await next_deadline())
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 0})
        await world.settled(submission.id)
        (hold,) = (await world.api("holds"))["results"]
        assert await next_deadline() == datetime.fromisoformat(hold["deadline"]).timestamp()
