"""The dashboard's routes, put together."""

import mimetypes
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.domain.decision import Mode
from service.pages.access import Access
from service.pages.backtest import BacktestPage
from service.pages.decisions import Decisions
from service.pages.find import Find
from service.pages.holds import Holds
from service.pages.live import Live
from service.pages.overview import Overview
from service.pages.rendering import HEADERS, STATIC
from service.pages.rules import Rules
from service.pages.sessions import Sessions
from service.pages.sign_in import SignIn
from service.pages.study import Studies
from service.pages.submission import Submissions
from service.postgres.database import Clock, Database
from service.rulebook.current import RulesInForce
from service.secret import Secret
from service.telemetry.metrics import Metrics
from service.web.bearer import WrongTokens


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The dashboard's routes. ``run`` must run while pages are served."""

    routes: list[Route]
    run: Callable[[], Coroutine[Any, Any, None]]


def dashboard(
    database: Database,
    rules: RulesInForce,
    mode: Mode,
    metrics: Metrics,
    *,
    admin: Secret | None,
    viewer: Secret | None,
    public_url: str | None,
    most_streams: int,
    clock: Clock | None,
) -> Dashboard:
    """Build the dashboard; it answers 403 as long as there is no admin token."""
    access = Access(Sessions(admin, viewer), database)
    signing = SignIn(access, WrongTokens(metrics), public_url)
    live = Live(database, most_streams)
    routes = [
        Route("/sign-in", signing.show),
        Route("/sign-in", signing.sign_in, methods=["POST"]),
        Route("/sign-out", access.acted_by_anyone(signing.sign_out), methods=["POST"]),
        Route("/static/{name}", _Static.load()),
        Route("/changes", access.shown(live.stream)),
        *Overview(access, database, rules, mode, clock).routes(),
        *Holds(access, database, clock).routes(),
        *Decisions(access, database).routes(),
        *Submissions(access, database, rules, clock).routes(),
        *Studies(access, database, rules).routes(),
        *Find(access, database).routes(),
        *Rules(access, database, rules).routes(),
        *BacktestPage(access, database, rules).routes(),
    ]
    for route in routes:
        route.include_in_schema = False  # pages are for people, the description is of the API
    return Dashboard(routes, live.run)


@dataclass(frozen=True, slots=True)
class _Static:
    """The files that pages need, in memory."""

    files: dict[str, bytes]

    @classmethod
    def load(cls) -> Callable[[Request], Awaitable[Response]]:
        return cls({path.name: path.read_bytes() for path in STATIC.iterdir() if path.is_file()}).answer

    async def answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.files:
            return Response(status_code=404, headers=HEADERS)
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        headers = {**HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(self.files[name], media_type=kind, headers=headers)
