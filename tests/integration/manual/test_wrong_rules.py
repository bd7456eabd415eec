"""The rehearsal of the worst day: rules that wrongly reject all, on a study of many submissions.

200 submissions here, so that it ends within a minute on two slow and busy cores; ``TEST_SUBMISSIONS``
in the environment asks for more, such as 1000.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path

from service.domain.submission import Status
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.manual.orders import autoreview, one
from tests.world import MESSAGE, World, rules_text, until

NUMBER = int(os.environ.get("TEST_SUBMISSIONS", "200"))
REJECT_ALL = rules_text(
    f"""
  - name: everybody
    when: "true"
    reject: {{category: OTHER, message: "{MESSAGE}"}}
""",
    otherwise="hold",
)


async def test_rules_that_reject_all_are_corrected_with_two_commands(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with start(REJECT_ALL, prolific_concurrency=8) as world:
        submissions = [world.completed() for _ in range(NUMBER)]
        for chunk in range(0, NUMBER, 50):
            await asyncio.gather(*(world.tell(each.id) for each in submissions[chunk : chunk + 50]))
        await until(world.idle, "all reviews to end")
        assert _statuses(world) == {Status.REJECTED: 3, Status.AWAITING_REVIEW: NUMBER - 3}
        assert one(database_url, "SELECT count(*) FROM decisions") == NUMBER
        (breaker,) = (await world.api("status"))["breakers"]
        assert (breaker["study"], breaker["limit"]) == (STROOP, "limit.reject")
        assert one(database_url, "SELECT count(*) FROM brakes") == 1

        settings = {"database_url": database_url}
        held = await autoreview("holds", "--study", STROOP, "--csv", settings=settings)
        (tmp_path / "held.csv").write_text(held.stdout)
        given = ("--from", str(tmp_path / "held.csv"), "--action", "approve", "--by", "Ada", "--yes")
        ended = await autoreview("resolve", *given, settings=settings)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert f"Decided: {NUMBER - 3} ({NUMBER - 3} approve)" in ended.stdout

        await until(lambda: _is_put_right(world), "Prolific to have heard of all")
        assert (await world.api("holds"))["results"] == []
        assert (await world.api("status"))["decisions"]["outcome"] == {
            "reject": 3,
            "hold": NUMBER - 3,
            "approve": NUMBER - 3,
        }
        assert len((await world.api("status"))["breakers"]) == 1, "it stays open until somebody resumes"


def _statuses(world: World) -> Counter[Status]:
    return Counter(submission.status for submission in world.sandbox.submissions.values())


async def _is_put_right(world: World) -> bool:
    return _statuses(world) == {Status.REJECTED: 3, Status.APPROVED: NUMBER - 3}
