"""Count failed reviews of a submission, and ask the retry policy when to try again."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import ProlificError
from service.postgres.database import Database
from service.review.retry_policy import (
    affects_every_call,
    exponential_delay,
    is_refusal,
    killed_delay,
    retry_delay,
    wait_for_all,
)
from service.store.reviews import add_outage, add_refusal
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class FailureCounter:
    """Counts failures of each submission in the database, so that the count survives the job."""

    database: Database
    metrics: Metrics

    async def retry_delay(self, submission_id: str, error: ProlificError) -> timedelta | None:
        """Count the error. Return the delay before the next try, None when retries are exhausted."""
        self.metrics.prolific_errors.labels(error.code).inc()
        # An error that affects every call must not use up the submission's retries.
        if affects_every_call(error):
            return wait_for_all(error)
        add = add_refusal if is_refusal(error) else add_outage
        async with self.database.begin() as connection:
            failures = await add(connection, submission_id)
        return retry_delay(error, failures)

    async def killed_delay(self, connection: AsyncConnection, submission_id: str) -> timedelta | None:
        """Count a review whose process ended during it. Return the delay, None when retries are exhausted."""
        return killed_delay(await add_outage(connection, submission_id))

    async def crash_delay(self, submission_id: str) -> timedelta | None:
        """Count an internal error. Return the delay, None when retries are exhausted. Raise without a database."""
        async with self.database.begin() as connection:
            return exponential_delay(await add_outage(connection, submission_id))
