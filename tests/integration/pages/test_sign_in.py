"""Who gets in, and what a session may do."""

import re
from pathlib import Path

import httpx
import pytest

from service.app import Parts
from service.pages.sessions import COOKIE, LIFETIME, Role, Sessions
from service.secret import Secret
from tests.conftest import Start
from tests.integration.pages.browsing import csrf_of, person, sign_in
from tests.world import ADMIN, bearer

VIEWER = "a-viewer"
WEB = Parts(worker=False)
PAGES = ("/", "/holds")


async def test_without_an_admin_token_pages_name_the_variable(start: Start) -> None:
    async with start(parts=WEB, admin_token=None, viewer_token=VIEWER) as world:
        for path in (*PAGES, "/sign-in"):
            answer = await world.http.get(path)
            assert (answer.status_code, "AUTOREVIEW_ADMIN_TOKEN" in answer.text) == (403, True)
        answer = await world.http.post("/sign-in", data={"token": VIEWER, "name": "Ada"})
        assert answer.status_code == 403


async def test_pages_lead_to_the_sign_in_and_back_and_a_sign_out_ends_every_copy_of_the_session(
    start: Start,
) -> None:
    async with start(parts=WEB, viewer_token=VIEWER) as world:
        for path in PAGES:
            answer = await world.http.get(path)
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")
        answer = await world.http.get("/holds?study=a%20b")
        assert answer.headers["location"] == "/sign-in?next=%2Fholds%3Fstudy%3Da%2520b"
        form = await world.http.get(answer.headers["location"])
        assert 'name="next" value="/holds?study=a%20b"' in form.text
        answer = await sign_in(world.http, next="/holds?study=a%20b")
        assert (answer.status_code, answer.headers["location"]) == (303, "/holds?study=a%20b")
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert "Secure" not in cookie
        assert ADMIN not in cookie
        page = await world.http.get("/")
        assert page.status_code == 200
        copy = dict(world.http.cookies)
        answer = await world.http.post("/sign-out", data={"csrf": csrf_of(page.text)})
        assert answer.headers["location"] == "/sign-in"
        async with httpx.AsyncClient(base_url=world.url, cookies=copy) as thief:
            assert (await thief.get("/")).status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\evil",
        "javascript:alert(1)",
        "/\t/evil",
    ],
)
async def test_the_sign_in_leads_to_no_other_host(start: Start, elsewhere: str) -> None:
    async with start(parts=WEB) as world:
        answer = await sign_in(world.http, next=elsewhere)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    ("headers", "public_url"),
    [({"X-Forwarded-Proto": "https"}, None), ({}, "https://review.example.org")],
)
async def test_behind_https_cookies_are_secure(
    start: Start, headers: dict[str, str], public_url: str | None
) -> None:
    async with start(parts=WEB, public_url=public_url) as world:
        form = await world.http.get("/sign-in", headers=headers)
        assert "Secure" in form.headers["set-cookie"]
        cookie = form.headers["set-cookie"].split(";")[0]
        data = {"csrf": csrf_of(form.text), "token": ADMIN, "name": "Ada"}
        answer = await world.http.post("/sign-in", data=data, headers={**headers, "Cookie": cookie})
        assert answer.status_code == 303
        assert all("Secure" in each for each in answer.headers.get_list("set-cookie") if COOKIE in each)


async def test_wrong_tokens_are_limited_and_then_the_right_one_waits_too(start: Start) -> None:
    async with start(parts=WEB) as world:
        for _ in range(20):
            assert (await sign_in(world.http, "wrong")).status_code == 401
        for token in ("wrong", ADMIN):
            answer = await sign_in(world.http, token)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        # The API is not locked by it.
        assert await world.api("status")


async def test_a_sign_in_needs_its_own_form_and_a_name(start: Start) -> None:
    async with start(parts=WEB) as world:
        answer = await world.http.post("/sign-in", data={"token": ADMIN, "name": "Ada"})
        assert answer.status_code == 403
        answer = await sign_in(world.http, csrf="forged")
        assert answer.status_code == 403
        answer = await sign_in(world.http, name="  ")
        assert (answer.status_code, COOKIE in answer.headers.get("set-cookie", "")) == (422, False)


async def test_a_viewer_looks_and_changes_nothing(start: Start) -> None:
    async with start(parts=WEB, viewer_token=VIEWER) as world, person(world, VIEWER) as eve:
        page = await eve.page("/")
        assert "read only" in page
        assert not re.search(r"<button[^>]*aria-label=\"(pause|resume|approve)", page)
        answer = await eve.send("/pause", reason="I want to")
        assert (answer.status_code, "AUTOREVIEW_VIEWER_TOKEN" in answer.text) == (403, True)
        assert not (await world.api("status"))["paused"]
        read = await world.http.get("/api/status", headers=bearer(VIEWER))
        assert read.status_code == 200
        order = {"by": "Eve", "reason": "I want to"}
        answer = await world.http.post("/api/pause", headers=bearer(VIEWER), json=order)
        assert (answer.status_code, answer.json()["error"]) == (403, "read_only")


async def test_a_form_that_is_not_the_sessions_own_is_refused(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada, person(world, name="Bob") as bob:
        for forged in ("", "forged", await bob.csrf()):
            answer = await ada.send("/pause", csrf=forged, reason="I want to")
            assert answer.status_code == 403
        assert not (await world.api("status"))["paused"]
        assert (await ada.send("/pause", reason="The survey is broken")).status_code == 303
        (pause,) = (await world.api("status"))["pauses"]
        assert (pause["by"], pause["reason"]) == ("Ada", "The survey is broken")
        assert "The survey is broken" in await bob.page("/")


async def test_pages_are_kept_nowhere_and_shown_in_no_frame(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        for answer in (
            await ada.http.get("/"),
            await ada.http.get("/nothing"),
            await world.http.get("/sign-in"),
        ):
            if "json" in answer.headers["content-type"]:
                continue
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text)
            assert not re.search(r"<script(?![^>]*\ssrc=)", answer.text)
            assert ADMIN not in answer.text


def test_a_session_ends_with_its_time_and_with_its_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    now = 1_000_000.0
    sessions = Sessions(Secret("ADMIN_TOKEN", file=file), None, lambda: now)
    cookie = sessions.begin(Role.ADMIN, "Ada")
    session = sessions.read(cookie)
    assert session
    assert (session.role, session.name) == (Role.ADMIN, "Ada")
    for forged in (cookie[:-1] + "x", cookie.replace(".", ".x"), "", ".", "a.b", cookie + "é"):
        assert sessions.read(forged) is None
    # A viewer's cookie is signed with another key: its role can't be raised.
    assert Sessions(None, Secret("VIEWER_TOKEN", value="first"), lambda: now).read(cookie) is None
    now += LIFETIME
    assert sessions.read(cookie) is None
    now -= LIFETIME
    file.write_text("the second")
    assert sessions.read(cookie) is None
