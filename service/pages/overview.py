"""``/``: the state of the service, and pause and resume."""

from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.domain.decision import Mode
from service.manual.pause import pause, resume
from service.manual.retry import retry_failed
from service.ops.status import rules_state
from service.pages.access import Access, Form, own_path
from service.pages.charts import STACK, outcomes_chart
from service.pages.rendering import page, redirect
from service.pages.sessions import Session
from service.postgres.database import Clock, Database, time_of
from service.rulebook.current import RulesInForce
from service.store.audit import job_counts
from service.store.fetches import failed_lately
from service.store.inbox import last_event_at
from service.store.overview import MOST_DECISIONS, MOST_FAILED, failed, outcomes_per_hour, waiting
from service.store.pauses import scopes
from service.store.refusals import refused_lately
from service.store.submissions import study_names
from service.store.workers import FRESH, heartbeat_age, highest_mode, workers_at_work

MOST_QUEUED = 10_000  # due jobs that are counted

# What each state of a submission that awaits review means, in the order of the page.
STATES = {
    "held": "held for manual review",
    "failed": "failed: Prolific refused, or the review could not be made",
    "data": "waiting for evidence of a source",
    "unclaimed": "of a study that no rule file names",
    "queued": "known, not decided yet",
    "sending": "decided, on the way to Prolific",
    "asked": "asked to return: the participant may answer",
    "observed": "decided and not sent: the mode only observes",
    "ended": "decided; Prolific has not shown it yet",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page."""

    access: Access
    database: Database
    rules: RulesInForce
    mode: Mode
    clock: Clock | None

    def routes(self) -> list[Route]:
        return [
            Route("/", self.access.shown(self.overview)),
            Route("/pause", self.access.acted(self.pause), methods=["POST"]),
            Route("/resume", self.access.acted(self.resume), methods=["POST"]),
            Route("/submissions/{id:path}/retry", self.access.acted(self.retry), methods=["POST"]),
        ]

    async def overview(self, request: Request, session: Session) -> Response:
        """Show the state of the service; for a live update only its changing part."""
        template = "parts/overview.html" if "hx-request" in request.headers else "overview.html"
        return page(template, session, **await self._state())

    async def _state(self) -> dict[str, Any]:
        async with self.database.connect() as connection:
            now = await time_of(connection, self.clock)
            in_force = await scopes(connection)
            per_hour = await outcomes_per_hour(connection)
            pauses = [scope.pause for scope in in_force.values() if scope.pause]
            breakers = [breaker for scope in in_force.values() for breaker in scope.breakers]
            named = [*in_force, *(study for file in self.rules.book.files for study in file.studies or ())]
            return {
                "now": now,
                "mode": (highest_mode(await workers_at_work(connection)) or self.mode).value,
                "rules": rules_state(self.rules),
                "last_event_at": await last_event_at(connection),
                "jobs": await job_counts(connection, most=MOST_QUEUED + 1),
                "most_queued": MOST_QUEUED,
                "worker_age": await heartbeat_age(connection),
                "fresh": FRESH,
                "waiting": await waiting(connection),
                "states": STATES,
                "failed": await failed(connection),
                "most_failed": MOST_FAILED,
                "refused": await refused_lately(connection),
                "unanswered": await failed_lately(connection),
                "pauses": pauses,
                "breakers": breakers,
                "names": await study_names(connection, named),
                "outcomes": STACK,
                "chart": outcomes_chart(per_hour, now),
                "most_decisions": MOST_DECISIONS,
                "is_part": sum(sum(each.values()) for each in per_hour.values()) >= MOST_DECISIONS,
            }

    async def pause(self, _: Request, session: Session, form: Form) -> Response:
        """Pause a study, or the service."""
        async with self.database.begin() as connection:
            await pause(connection, form.get("study") or None, session.name, form.get("reason", ""))
        return redirect(own_path(form.get("back", "/")))

    async def resume(self, _: Request, session: Session, form: Form) -> Response:
        """End a pause and close breakers."""
        async with self.database.begin() as connection:
            await resume(connection, form.get("study") or None, session.name, form.get("reason", ""))
        return redirect(own_path(form.get("back", "/")))

    async def retry(self, request: Request, session: Session, _: Form) -> Response:
        """Try again to apply a decision that failed."""
        submission = request.path_params["id"]
        async with self.database.begin() as connection:
            await retry_failed(connection, submission)
        log.info("retried", submission_id=submission, by=session.name)
        return redirect("/")
