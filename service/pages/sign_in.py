"""Signing in with a token and a name, and out again."""

import hmac
import secrets
from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import Response

from service.api.queries import BadQuery
from service.errors import ConfigurationError
from service.manual.texts import name_of
from service.pages.access import Access, Form, failure, own_path, read_form
from service.pages.rendering import page, redirect
from service.pages.sessions import COOKIE, LIFETIME, Session
from service.store.sign_outs import sign_out
from service.web.bearer import MAX_WRONG, WINDOW, WrongTokens, client_network

FORM_COOKIE = "autoreview_sign_in"  # pairs the sign-in form with its browser, since there is no session yet

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """The sign-in page. ``public_url`` shows whether browsers use https."""

    access: Access
    wrong: WrongTokens
    public_url: str | None

    async def show(self, request: Request) -> Response:
        """Show the form."""
        if refused := self.access.refused():
            return refused
        return self._form(request, {"next": own_path(request.query_params.get("next", "/"))})

    async def sign_in(self, request: Request) -> Response:
        """Check the token, and begin a session."""
        if refused := self.access.refused():
            return refused
        if self.wrong.is_over(client_network(request)):
            return _too_many()
        try:
            return self._checked(request, await read_form(request))
        except BadQuery as error:
            return failure(422, "That can't be done", str(error))
        except ConfigurationError as error:
            return failure(503, "Not available", str(error))

    def _checked(self, request: Request, form: Form) -> Response:
        if not _is_own(request, form):
            return self._form(request, form, 403, "The form was not this page's own. Try again.")
        role = self.access.sessions.role_of(form.get("token", ""))
        if role is None:
            too_many = self.wrong.add(client_network(request), "sign_in")
            return _too_many() if too_many else self._form(request, form, 401, "This token is wrong.")
        try:
            name = name_of(form.get("name", ""))
        except ValueError as error:
            return self._form(request, form, 422, f"Your name: {error}.")
        log.info("signed_in", by=name, role=role.value)
        answer = redirect(own_path(form.get("next", "/")))
        self._set_cookie(request, answer, COOKIE, self.access.sessions.begin(role, name), LIFETIME)
        answer.delete_cookie(FORM_COOKIE, path="/sign-in", httponly=True, samesite="strict")
        return answer

    async def sign_out(self, _: Request, session: Session, __: Form) -> Response:
        """End the session. Copies of its cookie become invalid too."""
        async with self.access.database.begin() as connection:
            await sign_out(connection, session.id, session.until)
        log.info("signed_out", by=session.name)
        answer = redirect("/sign-in")
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    def _form(self, request: Request, form: Form, status: int = 200, problem: str | None = None) -> Response:
        token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(16)
        answer = page(
            "sign_in.html",
            status=status,
            csrf=token,
            next=form.get("next", "/"),
            name=form.get("name", ""),
            problem=problem,
        )
        self._set_cookie(request, answer, FORM_COOKIE, token, 3600, path="/sign-in")
        return answer

    def _set_cookie(
        self, request: Request, answer: Response, name: str, text: str, age: int, path: str = "/"
    ) -> None:
        forwarded = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
        is_https = forwarded == "https" or (self.public_url or "").startswith("https://")
        answer.set_cookie(
            name,
            text,
            max_age=age,
            path=path,
            secure=is_https or request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )


def _is_own(request: Request, form: Form) -> bool:
    cookie, given = request.cookies.get(FORM_COOKIE, ""), form.get("csrf", "")
    return bool(cookie) and hmac.compare_digest(cookie.encode(), given.encode())


def _too_many() -> Response:
    text = f"Over {MAX_WRONG} wrong tokens came from your address within a minute. Wait a minute, then try again."
    answer = failure(429, "Too many wrong tokens", text)
    answer.headers["Retry-After"] = str(int(WINDOW))
    return answer
