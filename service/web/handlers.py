"""Convert errors of routes to answers: one format, and 503 if the database does not answer."""

from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.web.http import problem


async def _as_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = error.detail.lower().replace(" ", "_")
    return problem(error.status_code, code, error.detail, headers=error.headers)


async def _crashed(_: Request, __: Exception) -> Response:
    return problem(500, "internal_error", "An internal error occurred; the log has the details.")


async def _no_database(_: Request, __: Exception) -> Response:
    return problem(503, "database", "The database does not answer; try again.", headers={"Retry-After": "10"})


async def _incomplete(_: Request, __: Exception) -> Response:
    return problem(400, "incomplete", "The connection ended before the body did.")


HANDLERS: dict[Any, Any] = {
    ClientDisconnect: _incomplete,
    HTTPException: _as_problem,
    DBAPIError: _no_database,
    SQLAlchemyTimeout: _no_database,
    Exception: _crashed,
}
