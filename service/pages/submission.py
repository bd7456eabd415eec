"""``/submissions/{id}``: the history of one submission."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.domain.submission import Status
from service.manual.texts import excerpt
from service.pages.access import Access, NoSuchPage
from service.pages.rendering import page
from service.pages.sessions import Session
from service.pages.story import MOST_EXPLAINED, Explained, entries, explained
from service.postgres.database import Clock, Database, time_of
from service.rulebook.current import RulesInForce
from service.store.audit import DecisionFilter, list_decisions
from service.store.evidence import evidence_of
from service.store.holds import deadline
from service.store.inbox import events_of
from service.store.planned import batches, planned_of
from service.store.refusals import refusals_of
from service.store.rulebooks import KeptFile, kept_file
from service.store.story import story_size
from service.store.submissions import load_study, load_submission

MOST_DECISIONS = 200


@dataclass(frozen=True, slots=True)
class Submissions:
    """The page of a submission."""

    access: Access
    database: Database
    rules: RulesInForce
    clock: Clock | None

    def routes(self) -> list[Route]:
        return [
            # Some ids hold a slash: what comes from outside is not always Prolific's.
            Route("/submissions/{id:path}/news", self.access.shown(self.news)),
            Route("/submissions/{id:path}", self.access.shown(self.submission)),
        ]

    async def news(self, request: Request, session: Session) -> Response:
        """Return whether there is more than a page shows that has ``seen``."""
        wanted = request.path_params["id"]
        async with self.database.connect() as connection:
            size = await story_size(connection, wanted)
        if str(size) == request.query_params.get("seen"):
            return Response(status_code=204)
        return page("parts/news.html", session, id=wanted)

    async def submission(self, request: Request, session: Session) -> Response:
        """Show what is known of a submission."""
        wanted = request.path_params["id"]
        async with self.database.connect() as connection:
            found = await _known(connection, wanted)
            found["now"] = await time_of(connection, self.clock)
            kept = await _rule_files(connection, found["decisions"][:MOST_EXPLAINED])
        in_force = {file.path: (file.hash, file.source_text) for file in self.rules.book.files}
        # Seconds of computing at worst: a thread keeps webhooks from waiting for it.
        found["explained"] = await asyncio.to_thread(_explanations, found["decisions"], kept, in_force)
        return page("submission.html", session, id=wanted, **found)


async def _known(connection: AsyncConnection, wanted: str) -> dict[str, Any]:
    """Raise NoSuchPage if the service does not know the submission."""
    submission = await load_submission(connection, wanted)
    events = await events_of(connection, wanted)
    evidence = await evidence_of(connection, wanted)
    decisions = await list_decisions(connection, DecisionFilter(submission=wanted), limit=MOST_DECISIONS)
    if not (submission or events or evidence or decisions):
        raise NoSuchPage(f"No submission with the id {excerpt(wanted)} is known here.")
    planned = await planned_of(connection, wanted)
    open_batches = {one.batch for one in planned if one.is_open}
    study_id = (submission or {}).get("study_id")
    study = await load_study(connection, study_id) if study_id else None
    status = Status.parse(str((submission or {}).get("status", "")))
    completed_at = (submission or {}).get("completed_at") or (submission or {}).get("first_seen_at")
    return {
        "submission": submission,
        "size": await story_size(connection, wanted),
        "study": study,
        "decisions": decisions,
        "entries": entries(events, evidence, decisions, planned, await refusals_of(connection, wanted)),
        "batches": [one for one in await batches(connection) if one.id in open_batches],
        "deadline": deadline(_moment(completed_at)) if completed_at else None,
        "awaits": status is Status.AWAITING_REVIEW,
    }


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


async def _rule_files(connection: AsyncConnection, decisions: list[dict[str, Any]]) -> dict[str, KeptFile]:
    hashes = {one["rules_hash"] for one in decisions if one["rules_hash"]}
    found = {one: await kept_file(connection, one) for one in hashes}
    return {one: kept for one, kept in found.items() if kept}


def _explanations(
    decisions: list[dict[str, Any]], kept: dict[str, KeptFile], in_force: dict[str, tuple[str, str]]
) -> dict[int, Explained]:
    return {
        one["id"]: explained(one, kept.get(one["rules_hash"]), in_force) for one in decisions[:MOST_EXPLAINED]
    }
