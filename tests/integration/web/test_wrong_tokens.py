"""Wrong bearer tokens are counted, logged and limited. A valid one always passes."""

import re

import pytest
import structlog

from service.app import Parts
from service.telemetry.metrics import Metrics
from service.web.bearer import MAX_ADDRESSES, MAX_WRONG, WINDOW, WrongTokens
from tests.conftest import Start
from tests.world import ADMIN, EVIDENCE, World, bearer

WEB = Parts(web=True, worker=False)
PATHS = {"admin_token": "/api/status", "evidence_token": "/evidence/survey/abc"}


async def ask(world: World, token: str, given: str) -> int:
    method = "GET" if token == "admin_token" else "PUT"
    answer = await world.http.request(method, PATHS[token], headers=bearer(given), json={"comment": "fine"})
    return answer.status_code


@pytest.mark.parametrize(("token", "right"), [("admin_token", ADMIN), ("evidence_token", EVIDENCE)])
async def test_many_wrong_tokens_are_429_while_a_valid_one_passes(
    start: Start, token: str, right: str
) -> None:
    async with start(parts=WEB) as world:
        found = [await ask(world, token, f"wrong-{one}") for one in range(MAX_WRONG + 5)]
        assert found == [401] * MAX_WRONG + [429] * 5
        answer = await world.http.put("/evidence/survey/abc", headers=bearer("wrong"))
        assert (answer.status_code, answer.json()["error"]) == (429, "too_many_wrong_tokens")
        assert answer.headers["Retry-After"]
        assert await ask(world, token, right) in (200, 202), "others may come by the same proxy"


async def test_wrong_token_is_counted(start: Start) -> None:
    async with start(parts=WEB) as world:
        for one in range(30):
            await ask(world, "admin_token", f"wrong-{one}")
        await world.http.put("/evidence/survey/abc")
        text = (await world.http.get("/metrics")).text
        found = dict(re.findall(r'autoreview_wrong_tokens_total{token="(\w+)"} (\S+)', text))
        counted = {token: value for token, value in found.items() if value != "0.0"}
        assert counted == {"admin_token": "30.0", "evidence_token": "1.0"}


def test_limit_of_wrong_tokens_is_per_address_and_minute() -> None:
    now = 0.0
    wrong = WrongTokens(Metrics(), timer=lambda: now)
    assert [wrong.add("a", "t") for _ in range(MAX_WRONG + 1)] == [False] * MAX_WRONG + [True]
    assert not wrong.add("b", "t")
    now = WINDOW
    assert not wrong.add("a", "t")


def test_log_of_wrong_tokens_is_limited_and_counts_the_rest() -> None:
    now = 0.0
    wrong = WrongTokens(Metrics(), timer=lambda: now)
    with structlog.testing.capture_logs() as lines:
        for one in range(1000):
            now += 0.1
            wrong.add(str(one), "admin_token")
    assert len(lines) == 10
    assert sum(line["wrong"] for line in lines) > 900
    assert {line["event"] for line in lines} == {"token.wrong"}


def test_limit_of_wrong_tokens_keeps_a_bounded_number_of_addresses() -> None:
    wrong = WrongTokens(Metrics(), timer=lambda: 0.0)
    for one in range(MAX_ADDRESSES + 100):
        wrong.add(str(one), "t")
    assert len(wrong._by_address) == MAX_ADDRESSES
