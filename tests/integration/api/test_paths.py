"""Paths: trailing slashes, redirects, and ``next`` links behind a proxy."""

import pytest

from service.app import Parts
from tests.conftest import Start
from tests.world import ADMIN, bearer, rules_text, signed, status_change

WEB = Parts(web=True, worker=False)


async def test_webhook_path_accepts_a_trailing_slash(start: Start) -> None:
    async with start(parts=WEB) as world:
        body = status_change("abc")
        answer = await world.http.post("/webhooks/prolific/", content=body, headers=signed(body))
        assert answer.status_code == 202


async def test_evidence_path_accepts_a_trailing_slash(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.push("abc/", {"attention_failed": 1})).status_code == 202
        assert (await world.api("submissions/abc/"))["evidence"]


PATHS = ["/livez", "/healthz", "/readyz", "/metrics", "/api/status", "/api/decisions"]


async def test_api_path_accepts_a_trailing_slash(start: Start, subtests: pytest.Subtests) -> None:
    async with start(parts=WEB) as world:
        for path in PATHS:
            with subtests.test(path=path):
                assert (await world.http.get(f"{path}/", headers=bearer(ADMIN))).status_code == 200


NO_PAGES = ["/api", "/api/", "/nowhere/", "/webhooks", "/webhooks/prolific//", "/evidence/survey/"]


async def test_only_pages_redirect(start: Start, subtests: pytest.Subtests) -> None:
    async with start(parts=WEB) as world:
        for path in NO_PAGES:
            with subtests.test(path=path):
                for method in ("GET", "PUT", "POST"):
                    assert (await world.http.request(method, path)).status_code in (401, 403, 404, 405)


@pytest.mark.parametrize(
    ("public_url", "base"),
    [
        (None, ""),
        ("https://review.example.org/lab/", "https://review.example.org/lab"),
        ("https://review.example.org/webhooks/prolific", "https://review.example.org"),
    ],
)
async def test_next_link_is_relative_or_below_the_public_url(
    start: Start, public_url: str | None, base: str
) -> None:
    hold = "\n  - name: look\n    when: true\n    hold: Look at it.\n"
    async with start(rules_text(hold), public_url=public_url) as world:
        for _ in range(3):
            await world.reviewed(world.completed())
        for what in ("decisions", "holds"):
            page = await world.api(what, limit=2)
            assert page["next"].startswith(f"{base}/api/{what}?limit=2&")
            rest = await world.http.get(page["next"].removeprefix(base), headers=bearer(ADMIN))
            assert (len(rest.json()["results"]), rest.json()["next"]) == (1, None), what
