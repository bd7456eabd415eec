"""Access to pages and forms: sign-in, permissions, and error pages."""

import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from service.api.queries import BadQuery
from service.domain.text import is_storable
from service.errors import AutoreviewError, ConfigurationError
from service.manual.actions import InvalidAction
from service.manual.decide import AlreadyDecided, Changed, NeverHeardOf
from service.manual.pause import Unnamed
from service.manual.planned import TooLate
from service.manual.retry import NothingFailed
from service.pages.rendering import page, redirect, segment
from service.pages.sessions import COOKIE, Session, Sessions
from service.postgres.database import Database
from service.store.sign_outs import is_signed_out
from service.web.http import MAX_BODY, body_within

Form = dict[str, str]
Show = Callable[[Request, Session], Awaitable[Response]]
Act = Callable[[Request, Session, Form], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, Exception], Awaitable[Response]]

MOST_FIELDS = 5000

log = structlog.get_logger(__name__)


class Forbidden(AutoreviewError):
    """This session may not do that, or the form is not from this session's own page."""

    code = "forbidden"


class NoSuchPage(AutoreviewError):
    """The requested object does not exist."""

    code = "no_such_page"


STATUS: dict[type[AutoreviewError], int] = {
    BadQuery: 422,
    InvalidAction: 422,
    Unnamed: 422,
    Forbidden: 403,
    NoSuchPage: 404,
    NeverHeardOf: 404,
    AlreadyDecided: 409,
    Changed: 409,
    TooLate: 409,
    NothingFailed: 409,
}
# Paths that programs ask for, whose errors are problem details for everybody.
MACHINES = ("/api", "/evidence", "/webhooks", "/metrics", "/livez", "/readyz", "/healthz")
ERRORS = {
    404: "There is no page at this address.",
    405: "This address takes no such request. Open the page again, and use its buttons.",
    503: "The database does not answer. Load the page again in a moment.",
}
TITLES = {403: "Not allowed", 404: "Not found", 409: "Too late", 422: "That can't be done"}


@dataclass(frozen=True, slots=True)
class Access:
    """Admits signed-in people, and sends others to the sign-in page."""

    sessions: Sessions
    database: Database

    def shown(self, show: Show) -> Endpoint:
        """A page for everybody who signed in."""

        @wraps(show)
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, show)

        return endpoint

    def acted(self, act: Act) -> Endpoint:
        """A form for those who may change something."""

        async def checked(request: Request, session: Session, form: Form) -> Response:
            if not session.may_change:
                raise Forbidden("You signed in with AUTOREVIEW_VIEWER_TOKEN, which only reads.")
            return await act(request, session, form)

        return self.acted_by_anyone(wraps(act)(checked))

    def acted_by_anyone(self, act: Act, *, limit: int = MAX_BODY) -> Endpoint:
        """A form for everybody who signed in; it must come from a page of the same session.

        ``limit`` is the most bytes of its body.
        """

        async def checked(request: Request, session: Session) -> Response:
            form = await read_form(request, limit)
            if not hmac.compare_digest(form.pop("csrf", "").encode(), session.csrf.encode()):
                raise Forbidden("The form did not come from a page of your session. Load the page again.")
            return await act(request, session, form)

        @wraps(act)
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, checked)

        return endpoint

    def refused(self) -> Response | None:
        """Return the answer to everybody while no admin token is set, else None."""
        if self.sessions.admin is not None:
            return None
        text = "Set AUTOREVIEW_ADMIN_TOKEN (or AUTOREVIEW_ADMIN_TOKEN_FILE) and restart to use the dashboard."
        return failure(403, "The dashboard is off", text)

    async def session(self, request: Request) -> Session | None:
        """Return the session of the request's cookie, None if it has none that is valid."""
        session = self.sessions.read(request.cookies.get(COOKIE, ""))
        if session is None:
            return None
        async with self.database.single() as connection:
            return None if await is_signed_out(connection, session.id) else session

    async def _answer(self, request: Request, show: Show) -> Response:
        if refused := self.refused():
            return refused
        session: Session | None = None
        try:
            session = await self.session(request)
            if session is None:
                return to_sign_in(request)
            if not is_storable([request.url.path, *request.query_params.values()]):
                raise NoSuchPage("The address holds a NUL.")
            return await show(request, session)
        except ConfigurationError as error:
            return failure(503, "Not available", str(error), session)
        except tuple(STATUS) as error:
            status = STATUS[type(error)]
            return failure(status, TITLES[status], str(error), session, request)
        except (DBAPIError, SQLAlchemyTimeout):
            text = "The database does not answer. Load the page again in a moment."
            return failure(503, "Not available", text, session, request)


def for_browsers(handlers: Mapping[Any, Handler]) -> dict[Any, Handler]:
    """Return the handlers of errors, changed to answer browsers with a page."""

    def shown(handler: Handler) -> Handler:
        async def answered(request: Request, error: Exception) -> Response:
            answer = await handler(request, error)
            path = request.url.path
            is_page = not any(path == one or path.startswith(f"{one}/") for one in MACHINES)
            if not is_page or "text/html" not in request.headers.get("accept", ""):
                return answer
            title = HTTPStatus(answer.status_code).phrase.capitalize()
            text = ERRORS.get(
                answer.status_code, "The request could not be answered. The log has the details."
            )
            found = failure(answer.status_code, title, text, request=request)
            kept = {name: answer.headers[name] for name in ("allow", "retry-after") if name in answer.headers}
            found.headers.update(kept)
            return found

        return answered

    return {error: shown(handler) for error, handler in handlers.items()}


def failure(
    status: int, title: str, text: str, session: Session | None = None, request: Request | None = None
) -> Response:
    """An error as a page, or as the part of one that was asked for."""
    if request is not None and "hx-request" in request.headers:
        aside = {"HX-Retarget": "#toast", "HX-Reswap": "innerHTML"}
        return page("parts/problem.html", status=status, headers=aside, title=title, text=text)
    return page("problem.html", session, status=status, title=title, text=text)


def to_sign_in(request: Request) -> Response:
    """Send to the sign-in, which leads back to the page; forms are not sent again."""
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    back = ""
    if request.method in {"GET", "HEAD"} and request.url.path != "/":
        query = f"?{request.url.query}" if request.url.query else ""
        back = f"?next={segment(request.url.path + query)}"
    return redirect(f"/sign-in{back}")


def own_path(text: str) -> str:
    """A path of this service to go on at; ``/`` for anything that a browser might take for another host."""
    try:
        parts = urlsplit(text)
    except ValueError:  # an address with "[" and no "]"
        return "/"
    is_own = (
        text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    )
    return text if is_own and text.isascii() and text.isprintable() and "\\" not in text else "/"


def path_of(url: str, otherwise: str) -> str:
    """Return the path of an address that a browser sent, to go on at."""
    try:
        return own_path(urlsplit(url).path or otherwise)
    except ValueError:
        return otherwise


async def read_form(request: Request, limit: int = MAX_BODY) -> Form:
    """Read a form; of a field that comes several times the values are joined by commas. Raise BadQuery.

    A file's value is its text; a file that was not chosen is absent.
    """
    body = await body_within(request, limit)
    if body is None:
        raise BadQuery(f"A form has at most {limit} bytes.")
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            pairs = await _multipart(request.headers, body, limit)
        else:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except (ValueError, MultiPartException):
        raise BadQuery("This is no form.") from None
    form: Form = {}
    for name, text in pairs:
        form[name] = f"{form[name]},{text}" if name in form else text
    if not is_storable(list(form.values())):
        raise BadQuery("The form holds a NUL.")
    return form


async def _multipart(headers: Headers, body: bytes, limit: int) -> list[tuple[str, str]]:
    """Read a form with files. Raise MultiPartException, or ValueError for a file that is not UTF-8."""

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, whole(), max_files=1, max_fields=MOST_FIELDS, max_part_size=limit)
    form = await parser.parse()
    try:
        return [
            (name, value if isinstance(value, str) else (await value.read()).decode("utf-8-sig"))
            for name, value in form.multi_items()
            if isinstance(value, str) or value.filename
        ]
    finally:
        await form.close()
