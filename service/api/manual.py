"""``/api`` for manual work: holds, decisions, pause and resume."""

from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.api.queries import hold_query, next_page
from service.api.requests import Endpoint, guarded, json_object, text, text_if_any
from service.domain.plain import plain
from service.manual.actions import read_action
from service.manual.decide import ManualDecision, resolve
from service.manual.pause import pause, resume
from service.postgres.database import Clock, Database, time_of
from service.store.audit import show_decision
from service.store.holds import list_holds
from service.web.bearer import Bearer


@dataclass(frozen=True, slots=True)
class ManualApi:
    """The routes of manual decisions. The workers send them."""

    bearer: Bearer
    database: Database
    public_url: str | None
    clock: Clock | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/holds", self._guarded(self.holds)),
            Route("/submissions/{id}/resolve", self._guarded(self.resolve), methods=["POST"]),
            Route("/pause", self._guarded(self.pause), methods=["POST"]),
            Route("/resume", self._guarded(self.resume), methods=["POST"]),
        ]

    async def holds(self, request: Request) -> Response:
        wanted, limit, after = hold_query(request.query_params)
        async with self.database.connect() as connection:
            now = await time_of(connection, self.clock)
            rows = await list_holds(connection, now, **wanted, limit=limit + 1, after=after)
        page = rows[:limit]
        following = None
        if len(rows) > limit:
            # The end of the page and not a number of rows: holds come and go between two requests.
            mark = f"{page[-1].since.isoformat()}/{page[-1].submission_id}"
            following = next_page(request, self.public_url, after=mark)
        return JSONResponse({"results": plain([asdict(hold) for hold in page]), "next": following})

    async def resolve(self, request: Request) -> Response:
        body = await json_object(request, {"action", "by", "note"})
        action = read_action(body.get("action"))
        by, note = text(body, "by"), None if body.get("note") == "" else text_if_any(body, "note")
        async with self.database.begin() as connection:
            now = await time_of(connection, self.clock)
            wanted = ManualDecision(request.path_params["id"], action, by, note, now)
            recorded = await resolve(connection, wanted)
            shown = await show_decision(connection, recorded.id)
        return JSONResponse(plain(shown))

    async def pause(self, request: Request) -> Response:
        study, by, reason = await _order(request)
        async with self.database.begin() as connection:
            paused = await pause(connection, study, by, reason)
        return JSONResponse({"paused": True, "study": study, "study_known": paused.is_known})

    async def resume(self, request: Request) -> Response:
        study, by, reason = await _order(request)
        async with self.database.begin() as connection:
            resumed = await resume(connection, study, by, reason)
        return JSONResponse(plain(resumed.as_dict(study)))

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        return guarded(endpoint, self.bearer)


async def _order(request: Request) -> tuple[str | None, str, str]:
    body = await json_object(request, {"study", "by", "reason"})
    return text_if_any(body, "study"), text(body, "by"), text(body, "reason")
