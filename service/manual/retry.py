"""Retry failed decisions."""

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import AutoreviewError
from service.store.decisions import failed_submissions
from service.store.queue import enqueue_retry


class NothingFailed(AutoreviewError):
    """There is no failed decision to retry."""

    code = "nothing_failed"


async def retry_failed(connection: AsyncConnection, submission: str | None) -> list[str]:
    """Retry the failed decision of a submission, or of all if None. Return the submissions.

    Raise NothingFailed if the last decision of the submission did not fail.
    """
    failed = await failed_submissions(connection, submission)
    if submission and not failed:
        raise NothingFailed(f"The last decision of submission {submission} did not fail.")
    for one in failed:
        await enqueue_retry(connection, one)
    return failed
