"""Count failed reviews of a submission, and ask the retry policy when to try again."""

from dataclasses import dataclass
from datetime import timedelta

from service.errors import ProlificError
from service.postgres.database import Database
from service.review.retry_policy import (
    affects_every_call,
    exponential_delay,
    is_refusal,
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
        """Count the error; after how long to try again, None to give up."""
        self.metrics.prolific_errors.labels(error.code).inc()
        if affects_every_call(error):
            return wait_for_all(error)
        add = add_refusal if is_refusal(error) else add_outage
        async with self.database.begin() as connection:
            trouble = await add(connection, submission_id)
        return retry_delay(error, trouble)

    async def crash_delay(self, submission_id: str) -> timedelta | None:
        """Count an error of our own; after how long to try again. Without a database it raises."""
        async with self.database.begin() as connection:
            return exponential_delay(await add_outage(connection, submission_id))
