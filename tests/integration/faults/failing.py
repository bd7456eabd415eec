"""What the tests of the treatments have in common: rules, and waiting for what becomes of submissions."""

import asyncio
from pathlib import Path

from service.domain.submission import Status
from service.sandbox.model import SimSubmission
from tests.integration.faults.stored import jobs
from tests.jobs import make_due
from tests.process import autoreview, complete_settings
from tests.world import MESSAGE, TOKEN, World, rules_text, until, write_rules

ASK_OR_REJECT = f"""
  - name: no code
    when: submission.code_type == "NONE"
    request_return: {{reasons: ["You entered no code."]}}
    recheck_after: 7d
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
"""


async def status_of(world: World, submission: str) -> str | None:
    found = await world.decisions(submission)
    return found[0]["status"] if found else None


async def failed(world: World, submission: str) -> bool:
    return await status_of(world, submission) == "failed"


async def applied(world: World, submissions: list[SimSubmission]) -> None:
    """Wait until all of them are approved, whenever their jobs would be due."""

    async def look() -> bool:
        await make_due(world.service.database.url)
        return all(one.status is Status.APPROVED for one in submissions) and await world.idle()

    await until(look, "all to be approved")


async def put_off(url: str, number: int) -> None:
    """Wait until so many reviews are put off, and none is under way."""

    async def look() -> bool:
        found = await jobs(url)
        return len(found) == number and all(job["wait"] is not None and job["wait"] > 0 for job in found)

    await until(look, f"{number} reviews to be put off")


async def retry(world: World, database_url: str, folder: Path, *arguments: str) -> None:
    """``autoreview retry``, as an operator does."""
    settings = complete_settings(write_rules(folder / "others", rules_text()), folder / "data")
    settings |= {"database_url": database_url, "prolific_url": world.prolific_url, "prolific_token": TOKEN}
    ended = await asyncio.to_thread(autoreview, "retry", *arguments, settings=settings)
    assert ended.returncode == 0, ended.stderr
