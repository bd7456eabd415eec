"""Requests that no page of the service makes: each gets a clear answer, and none changes anything."""

import httpx

from service.app import Parts
from tests.conftest import Start
from tests.integration.manual.orders import HOLD, held
from tests.integration.pages.browsing import Person, csrf_of, person, sign_in
from tests.world import ADMIN, bearer

WEB = Parts(worker=False)
VIEWER = "a-viewer"
CHANGES = (
    "/pause",
    "/resume",
    "/submissions/any/retry",
    *(f"/holds/{one}" for one in ("dialog", "decide", "undo")),
)
FORMS = (*CHANGES, "/holds/preview", "/backtest", "/sign-out")
ORDER = {"submission": "any", "action": "approve", "reason": "I want to", "batch": "any", "study": "any"}


async def test_no_form_works_without_a_session_or_with_a_forged_token_and_a_viewer_changes_nothing(
    start: Start,
) -> None:
    async with start(parts=WEB, viewer_token=VIEWER) as world, person(world) as ada:
        async with person(world, VIEWER) as eve:
            others = await eve.csrf()
            for path in (*CHANGES, "/holds/preview"):
                assert (await eve.send(path, csrf=others, **ORDER)).status_code == 403, path
        own = await ada.csrf()
        for path in FORMS:
            answer = await world.http.post(path, data={"csrf": own, **ORDER})
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path
            for forged in ("", own[:-1], own + "x", others, "é"):
                assert (await ada.send(path, csrf=forged, **ORDER)).status_code == 403, path
            assert (await ada.http.post(path, data=ORDER)).status_code == 403, path
        assert not (await world.api("status"))["paused"]


async def test_cookies_of_ended_sessions_and_of_other_tokens_admit_nobody(start: Start) -> None:
    async with start(parts=WEB) as world:
        async with person(world) as ada:
            copy, csrf = dict(ada.http.cookies), await ada.csrf()
            assert (await ada.send("/sign-out", csrf=csrf)).status_code == 303
        async with httpx.AsyncClient(base_url=world.url, cookies=copy) as thief:
            answer = await thief.post("/pause", data={"csrf": csrf, "reason": "I want to"})
            assert answer.headers["location"] == "/sign-in"
        async with person(world) as ada:
            kept = dict(ada.http.cookies)
    # A process with the same token takes the session, one with another token does not.
    for token, status in ((ADMIN, 200), ("changed", 303)):
        async with (
            start(parts=WEB, admin_token=token) as world,
            httpx.AsyncClient(base_url=world.url, cookies=kept) as http,
        ):
            assert (await http.get("/")).status_code == status


FORM = "application/x-www-form-urlencoded"
BODIES: tuple[tuple[bytes, str, int], ...] = (
    (b"\xff\xfe=1", FORM, 422),
    (b"reason=%00", FORM, 422),
    (b"a=1&" * 6000, FORM, 422),
    (b"a" * 70_000, FORM, 422),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x", 403),
    (b"broken", "multipart/form-data", 422),
    (b'{"reason": "I want to"}', "application/json", 403),
    (b"", "", 403),
)


async def test_a_body_that_is_no_form_of_the_session_is_refused(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        for content, kind, status in BODIES:
            for path in ("/pause", "/holds/decide", "/sign-in"):
                answer = await ada.http.post(path, content=content, headers={"Content-Type": kind})
                shown = (answer.status_code, answer.headers["content-type"])
                assert shown == (status, "text/html; charset=utf-8"), (path, content[:20])
        assert not (await world.api("status"))["paused"]


ELSEWHERE = (
    *("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http://[", "//["),
    *("/x\r\nSet-Cookie: a=b", "/x\ny", "/é", ""),
)


async def test_forms_lead_to_no_other_host_and_add_no_header(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        for back in ELSEWHERE:
            answer = await ada.send("/resume", reason="It is mended", back=back)
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), back
            assert "set-cookie" not in answer.headers


async def test_the_dialog_takes_any_address_of_its_page(start: Start) -> None:
    async with start(HOLD) as world, person(world) as ada:
        submission = await held(world)
        csrf = await ada.csrf()
        for url, back in (
            (f"{world.url}/submissions/{submission.id}", f"/submissions/{submission.id}"),
            *((url, "/holds") for url in ("http://[", "")),
            *((url, "/") for url in ("javascript:alert(1)", "https://evil.example//evil.example")),
        ):
            answer = await ada.http.post(
                "/holds/dialog",
                data={"csrf": csrf, "submission": submission.id},
                headers={"HX-Current-URL": url},
            )
            assert (answer.status_code, f'name="back" value="{back}"' in answer.text) == (200, True), url


async def test_cursors_ids_and_methods_that_no_page_has_get_a_clear_answer(start: Start) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        for path, status in (
            *((f"/holds?after={after}", 200) for after in ("~", "x", "a~b~c", "%E2%80%AE~x", "9" * 5000)),
            *((f"/decisions?before={before}", 422) for before in ("-1", "x", "9" * 30, "1.5", "%D9%A1")),
            *(
                (f"/{kind}/{one}", 404)
                for kind in ("submissions", "studies")
                for one in ("%ff", "%00", "a%2F..%2Fb")
            ),
            *((f"/find?id={one}", 404) for one in ("", "%ff", "%00", "x" * 9000)),
            *((f"/static/{one}", 404) for one in ("%2e%2e%2faccess.py", "x" * 5000)),
            (f"/holds/planned?batches={'x,' * 3000}", 200),
            ("/holds/planned?batches=%00", 404),
        ):
            assert (await ada.http.get(path)).status_code == status, path[:60]
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            for path in ("/", "/holds/decide", "/changes", "/sign-in", "/decisions.csv"):
                assert (await ada.http.request(method, path)).status_code == 405, (method, path)


async def test_a_name_can_not_change_how_the_text_beside_it_reads(start: Start) -> None:
    async with start(parts=WEB) as world:
        for name in ("\u202eAda", "Ada\u2066", "A\nda", "A\x00da", "\u200b", "x" * 10_000):
            assert (await sign_in(world.http, name=name)).status_code == 422, name[:10]
        answer = await sign_in(world.http, name="<script>Ada</script>")
        assert answer.status_code == 303
        page = await Person(world.http).page("/")
        assert ("<script>Ada" in page, "&lt;script&gt;Ada" in page) == (False, True)
        assert csrf_of(page)
        order = {"by": "\u202eAda", "reason": "It is mended"}
        answer = await world.http.post("/api/pause", headers=bearer(ADMIN), json=order)
        assert answer.status_code == 422
