"""The simulated Prolific as one web application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount

from service.sandbox.control_api import ControlApi
from service.sandbox.delivery import AT_ONCE, Deliveries
from service.sandbox.endpoint import Endpoints
from service.sandbox.faults_api import FaultsApi
from service.sandbox.faulty_api import FaultyApi
from service.sandbox.groups_api import GroupsApi
from service.sandbox.hooks import JsonStyle
from service.sandbox.hooks_api import HooksApi
from service.sandbox.messages_api import MessagesApi
from service.sandbox.state import SandboxState
from service.sandbox.submissions_api import SubmissionsApi

DEFAULT_ACCESS = "sandbox-token"


def create_app(
    state: SandboxState,
    *,
    token: str = DEFAULT_ACCESS,
    json_style: JsonStyle = JsonStyle.SPACED,
    deliveries_at_once: int = AT_ONCE,
    webhook_transport: httpx.AsyncBaseTransport | None = None,
) -> Starlette:
    """Serve a state: Prolific's API under ``/api/v1``, the control routes under ``/sandbox``.

    Webhooks go out, and bulk approvals and returns come about, while the application runs.
    """
    deliveries = Deliveries(state, style=json_style, at_once=deliveries_at_once, transport=webhook_transport)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with deliveries:
            yield
            state.timers.cancel()

    endpoints = Endpoints(state, token)
    parts = (SubmissionsApi(state), HooksApi(state), MessagesApi(state), GroupsApi(state))
    api = [route for part in parts for route in part.routes(endpoints)]
    controls = (ControlApi(state, deliveries.in_delivery), FaultsApi(state))
    own = Endpoints(state, None)
    control = [route for part in controls for route in part.routes(own)]
    routes: list[BaseRoute] = [
        Mount("/api/v1", routes=api, middleware=[Middleware(FaultyApi, state)]),
        *control,
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _as_json})


def _as_json(_: Request, error: Exception) -> Response:
    """Answer what no endpoint answers (404, 405) in the fourth envelope."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": f"{error.detail}."}, error.status_code, headers=error.headers)
