"""Trying again what failed."""

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import AutoreviewError
from service.store.decisions import failed_submissions
from service.store.queue import enqueue_retry


class NothingFailed(AutoreviewError):
    """There is nothing to try again."""

    code = "nothing_failed"


async def retry_failed(connection: AsyncConnection, submission: str | None) -> list[str]:
    """Try again the submission whose last decision failed, or (None) all; return which. A worker does it at once.

    Raises NothingFailed if the last decision of the submission did not fail.
    """
    failed = await failed_submissions(connection, submission)
    if submission and not failed:
        raise NothingFailed(f"The last decision of submission {submission} did not fail.")
    for one in failed:
        await enqueue_retry(connection, one)
    return failed
