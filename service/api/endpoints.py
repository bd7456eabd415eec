"""The routes below ``/api``, for those who hold the admin token."""

from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.api.description import description
from service.api.queries import decision_query, next_page
from service.api.requests import Endpoint, guarded
from service.domain.decision import Mode
from service.domain.plain import plain
from service.ops.status import service_status
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rulebook.recorded import explained_decision
from service.store.audit import DecisionFilter, list_decisions
from service.store.evidence import evidence_of
from service.store.inbox import events_of
from service.store.study_report import latency, outcomes_by_rule, status_counts
from service.store.submissions import load_study, load_submission
from service.web.bearer import Bearer
from service.web.http import problem


@dataclass(frozen=True, slots=True)
class Api:
    """Reads what is on record."""

    bearer: Bearer
    database: Database
    rules: RulesInForce
    mode: Mode
    public_url: str | None

    def routes(self) -> list[Route]:
        return [
            Route("/decisions", self._guarded(self.decisions)),
            Route("/decisions/{id}", self._guarded(self.decision)),
            Route("/submissions/{id}", self._guarded(self.submission)),
            Route("/studies/{id}", self._guarded(self.study)),
            Route("/status", self._guarded(self.status)),
            Route("/openapi.json", self._guarded(self.openapi)),
        ]

    async def decisions(self, request: Request) -> Response:
        wanted, limit, before = decision_query(request.query_params)
        async with self.database.connect() as connection:
            # One more than the page has, to know whether another page follows.
            rows = await list_decisions(connection, wanted, limit=limit + 1, before=before)
        page = rows[:limit]
        following = None
        if len(rows) > limit:
            following = next_page(request, self.public_url, before=str(page[-1]["id"]))
        return JSONResponse({"results": plain(page), "next": following})

    async def decision(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        found = None
        # PostgreSQL refuses larger numbers, and an unknown id is a 404.
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
            found = await explained_decision(self.database, int(wanted))
        return (
            JSONResponse(plain(found))
            if found
            else problem(404, "not_found", f"There is no decision {wanted}.")
        )

    async def submission(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        async with self.database.connect() as connection:
            found: dict[str, Any] = {
                "submission": await load_submission(connection, wanted),
                "events": await events_of(connection, wanted),
                "evidence": await evidence_of(connection, wanted),
                "decisions": await list_decisions(connection, DecisionFilter(submission=wanted), limit=1000),
            }
        if not any(found.values()):
            return problem(404, "not_found", f"Nothing was ever heard of a submission {wanted}.")
        return JSONResponse(plain(found))

    async def study(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        async with self.database.connect() as connection:
            study = await load_study(connection, wanted)
            statuses = await status_counts(connection, wanted)
            if study is None and not statuses:
                return problem(404, "not_found", f"There is no study {wanted}.")
            found = {
                "study": asdict(study) if study else None,
                "submissions": statuses,
                "outcomes": [asdict(row) for row in await outcomes_by_rule(connection, wanted)],
                "webhook_to_decision": asdict(await latency(connection, wanted)),
            }
        return JSONResponse(plain(found))

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(description())

    async def status(self, _: Request) -> Response:
        async with self.database.connect() as connection:
            return JSONResponse(plain(await service_status(connection, self.rules, self.mode)))

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        return guarded(endpoint, self.bearer)
