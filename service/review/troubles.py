"""Counting what goes wrong with a submission, and what the table of treatments says to it."""

from dataclasses import dataclass
from datetime import timedelta

from service.errors import ProlificError
from service.postgres.database import Database
from service.review.treatment import (
    is_nothing_about_it,
    is_refusal,
    later_and_later,
    retry_after,
    wait_for_all,
)
from service.store.reviews import add_outage, add_refusal
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Troubles:
    """The troubles of all submissions, in the database: they outlive the job that met them."""

    database: Database
    metrics: Metrics

    async def meet(self, submission_id: str, error: ProlificError) -> timedelta | None:
        """Count the error; after how long to try again, None to give up."""
        self.metrics.prolific_errors.labels(error.code).inc()
        if is_nothing_about_it(error):
            return wait_for_all(error)
        add = add_refusal if is_refusal(error) else add_outage
        async with self.database.begin() as connection:
            trouble = await add(connection, submission_id)
        return retry_after(error, trouble)

    async def stumble(self, submission_id: str) -> timedelta | None:
        """Count an error of our own; after how long to try again. Without a database it raises."""
        async with self.database.begin() as connection:
            return later_and_later(await add_outage(connection, submission_id))
