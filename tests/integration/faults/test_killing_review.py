"""A review that kills its process: it comes again later and later, keeps nothing else back, and ends as *failed*."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.domain.submission import Status
from service.sandbox.faults import Fault
from service.sandbox.model import SimSubmission
from tests.integration.faults.replicas import Deployment, Replica, deployment
from tests.integration.faults.stored import Row, jobs, query
from tests.jobs import make_due
from tests.process import autoreview
from tests.world import until

NEVER = Fault("submission", latency=600, count=None)  # the review is under way when its process is killed
KILLED_8_TIMES = "UPDATE reviews SET outages = 8 WHERE submission_id = %(id)s"
FOR_A_DAY = "UPDATE reviews SET troubled_since = now() - interval '1 day' WHERE submission_id = %(id)s"


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(database_url, tmp_path) as deployed:
        yield deployed


async def test_review_that_kills_its_process_waits_longer_each_time_and_fails_after_a_day(
    service: Deployment,
) -> None:
    deadly, other = service.completed(), service.completed()
    service.state.faults.add(NEVER)
    first = await service.replicas.start()
    await service.tell(first, deadly)
    await killed_in_review(service, first, reviews=1)
    # At once the first time: that a process is killed is mostly not the review's fault.
    await killed_in_review(service, await service.replicas.start(), reviews=2)
    await query(service.url, KILLED_8_TIMES, id=deadly.id)
    service.state.faults.clear()

    third = await service.replicas.start()
    waiting = await until(lambda: waiting_job(service, deadly), "it to wait")
    assert (waiting["priority"], waiting["attempts"]) == (0, 2)
    assert waiting["wait"] > 60
    await service.tell(third, other)

    async def alone() -> bool:
        return other.status is Status.APPROVED and len(await jobs(service.url)) == 1

    await until(alone, "the other review to end")
    assert await waiting_job(service, deadly)
    service.state.faults.add(NEVER)
    await make_due(service.url, "review")
    await killed_in_review(service, third, reviews=4)
    await query(service.url, FOR_A_DAY, id=deadly.id)

    last = await service.replicas.start()
    (failed,) = await until(lambda: service.decisions(last, deadly), "it to be failed")
    assert (failed["status"], failed["outcome"]) == ("failed", "hold")
    assert failed["reason"].startswith("The process ended during each review of this submission")
    await service.at_rest()  # nothing is left that a sweep would review again
    service.state.faults.clear()
    retried = await asyncio.to_thread(autoreview, "retry", deadly.id, settings={"database_url": service.url})
    assert retried.returncode == 0, retried.stderr

    async def applied() -> bool:
        newest, *_ = await service.decisions(last, deadly)
        return bool(newest["status"] == "applied")

    await until(applied, "a person's retry to end well")


async def killed_in_review(service: Deployment, replica: Replica, *, reviews: int) -> None:
    """Kill the process with -9 while it asks Prolific for the submission, by now in so many reviews."""
    await service.asked("submission", reviews)
    await replica.kill()
    await query(service.url, "DELETE FROM procrastinate_workers")  # else the next one waits for its silence


async def waiting_job(service: Deployment, submission: SimSubmission) -> Row | None:
    rows = await query(
        service.url,
        "SELECT priority, attempts, extract(epoch FROM scheduled_at - now())::float AS wait "
        "FROM procrastinate_jobs WHERE lock = %(id)s AND status = 'todo'",
        id=submission.id,
    )
    return rows[0] if rows else None
