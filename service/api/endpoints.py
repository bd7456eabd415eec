"""The routes below ``/api``, for those who hold the admin token."""

from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service import __version__
from service.api.description import description
from service.api.queries import decision_query, next_page
from service.api.requests import Endpoint, guarded
from service.domain.decision import Mode
from service.domain.plain import plain
from service.postgres.database import Database
from service.rulebook.current import RulesInForce
from service.rulebook.recorded import explained_decision
from service.rules import RuleBook
from service.store.audit import (
    DecisionFilter,
    decision_counts,
    job_counts,
    list_decisions,
    observed_rules,
)
from service.store.evidence import evidence_of
from service.store.inbox import events_of, inbox_counts
from service.store.pauses import Scope, scopes
from service.store.refusals import refused_lately
from service.store.schedule import Run, last_run
from service.store.submissions import load_submission, unclaimed_count
from service.store.workers import highest_mode, workers_at_work
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
            Route("/status", self._guarded(self.status)),
            Route("/openapi.json", self._guarded(self.openapi)),
        ]

    async def decisions(self, request: Request) -> Response:
        wanted, limit, before = decision_query(request.query_params)
        async with self.database.connect() as connection:
            rows = await list_decisions(connection, wanted, limit=limit + 1, before=before)
        page = rows[:limit]
        following = None
        if len(rows) > limit:
            following = next_page(request, self.public_url, before=str(page[-1]["id"]))
        return JSONResponse({"results": plain(page), "next": following})

    async def decision(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        found = None
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

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(description())

    async def status(self, _: Request) -> Response:
        async with self.database.connect() as connection:
            inbox = asdict(await inbox_counts(connection)) | {"unclaimed": await unclaimed_count(connection)}
            jobs = asdict(await job_counts(connection))
            decisions = await decision_counts(connection)
            observed = [asdict(rule) for rule in await observed_rules(connection)]
            brakes = await scopes(connection)
            sweep = await last_run(connection, "sweep")
            workers = await workers_at_work(connection)
            refused = [asdict(row) for row in await refused_lately(connection)]
        service = brakes.get(None) or Scope(None)
        pauses = [one for scope in brakes.values() for one in scope.as_dicts() if one["kind"] == "pause"]
        breakers = [breaker.as_dict() for scope in brakes.values() for breaker in scope.breakers]
        state: dict[str, Any] = {
            "version": __version__,
            "mode": (highest_mode(workers) or self.mode).value,
            "workers": [worker.as_dict() for worker in workers],
            "paused": service.pause is not None,
            "pauses": pauses,
            "rules": rules_state(self.rules),
            "inbox": inbox,
            "jobs": jobs,
            "decisions": decisions,
            "observed_rules": observed,
            "breakers": breakers,
            "evidence": {"refused": refused},
            **swept(sweep),
        }
        return JSONResponse(plain(state))

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        return guarded(endpoint, self.bearer)


def swept(run: Run | None) -> dict[str, Any]:
    """What the last sweep did, and whether Prolific's subscription points here; null before the first."""
    said = dict(run.result or {}) if run else {}
    subscription = said.pop("subscription", None)
    times = {"began_at": run.began_at, "ended_at": run.ended_at} if run else {}
    return {"sweep": times | said if run else None, "subscription": subscription}


def rules_state(rules: RulesInForce) -> dict[str, Any]:
    """Which rule files are in force."""
    book: RuleBook = rules.book
    return {
        "files": [
            {
                "file": file.path,
                "name": file.name,
                "hash": file.hash,
                "studies": list(file.studies) if file.studies is not None else "all",
                "mode": file.mode.value if file.mode else None,
                "rules": len(file.rules),
            }
            for file in book.files
        ],
        "loaded_at": rules.loaded_at,
        "errors": [str(finding) for finding in rules.errors if finding.severity == "error"],
        "warnings": [str(finding) for finding in book.warnings],
    }
