"""Evidence from the participant's browser: preflights, signed study links, and decisions."""

import hmac
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from service.app import Parts
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.faults.stored import query
from tests.world import EVIDENCE, MESSAGE, World, bearer

WEB = Parts(web=True, worker=False)
ORIGIN = "https://study.example.org"
RULES = f"""
version: 1
name: A page
studies: [{STROOP}]
evidence:
  page:
    from: push
    fields: {{failed: int}}
    cors: ["{ORIGIN}", "http://localhost:3000"]
    wait: 30m
  survey: {{from: push, fields: {{failed: int}}}}
rules:
  - name: too many
    when: evidence.page.failed >= 2
    reject: {{category: FAILED_CHECK, message: "{MESSAGE}"}}
otherwise: approve
"""
BOTH_SOURCES = RULES.replace(
    "when: evidence.page.failed >= 2", "when: evidence.page.failed >= 2 && submission.time_taken < 60"
)


def link(world: World, one: SimSubmission, **claims: Any) -> str:
    return world.sandbox.links.token(
        one.id, one.study_id, one.participant_id, "https://study.example.org/", **claims
    )


async def put(
    world: World,
    submission: str,
    token: str,
    fields: dict[str, Any],
    *,
    origin: str | None = ORIGIN,
    source: str = "page",
) -> httpx.Response:
    headers = {"X-Prolific-Study-Link": token} | ({"Origin": origin} if origin else {})
    return await world.http.put(f"/evidence/{source}/{submission}", json=fields, headers=headers)


async def test_preflight_allows_only_declared_origins(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        asked = {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "x-prolific-study-link",
        }
        for origin in (ORIGIN, "http://localhost:3000"):
            answer = await world.http.options("/evidence/page/abc", headers={"Origin": origin} | asked)
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["vary"] == "Origin"
            assert "X-Prolific-Study-Link" in answer.headers["access-control-allow-headers"]
            assert answer.headers["access-control-allow-methods"] == "PUT"
        for source, origin in (
            ("page", "https://evil.example.org"),
            ("page", f"{ORIGIN}.evil.org"),
            ("page", "null"),
            ("survey", ORIGIN),
            ("nowhere", ORIGIN),
        ):
            answer = await world.http.options(f"/evidence/{source}/abc", headers={"Origin": origin} | asked)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


async def test_study_link_writes_for_its_submission_and_stays_valid_after_it_expires(
    start: Start, database_url: str
) -> None:
    async with start(RULES, parts=WEB) as world:
        one, other = world.completed(), world.completed()
        token = link(world, one)
        assert (await put(world, other.id, token, {"failed": 0})).status_code == 401
        answer = await put(world, one.id, token, {})
        assert answer.status_code == 202
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert await heard(world, one.id) == []
        assert await query(database_url, "SELECT submission_id FROM study_links") == [
            {"submission_id": one.id}
        ]
        # The link expires, and Prolific has new keys.
        expired = link(world, one, exp=int(time.time()) - 1)
        digest = sha256(expired.encode()).digest()
        await query(database_url, "UPDATE study_links SET digest = %(digest)s", digest=digest)
        world.sandbox.links.rotate()
        world.sandbox.links.rotate()
        assert (await put(world, one.id, expired, {"failed": 0}, origin=None)).status_code == 202
        assert await heard(world, one.id) == [({"failed": 0}, "browser")]


async def heard(world: World, submission: str) -> list[tuple[Any, str]]:
    answer = await world.http.get(f"/api/submissions/{submission}", headers=bearer("an-admin"))
    return [(one["payload"], one["origin"]) for one in answer.json().get("evidence", [])]


async def test_study_link_is_refused_after_a_day(start: Start, database_url: str) -> None:
    async with start(RULES, parts=WEB) as world:
        one = world.completed()
        token = link(world, one)
        assert (await put(world, one.id, token, {"failed": 0})).status_code == 202
        await query(
            database_url, "UPDATE study_links SET verified_at = now() - interval '25 hours' RETURNING 1"
        )
        assert (
            await put(world, one.id, token, {"failed": 1})
        ).status_code == 202  # not yet expired: verified anew
        expired = link(world, one, exp=int(time.time()) - 1)
        answer = await put(world, one.id, expired, {"failed": 1})
        assert (answer.status_code, answer.json()["error"]) == (401, "study_link")
        assert "expired" in answer.json()["message"]
        assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_forged_study_link_is_refused(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        one = world.completed()
        good = link(world, one)
        name, key = world.sandbox.links._keys[-1]
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        claims = jwt.decode(good, options={"verify_signature": False})
        head, payload, _ = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": name}).split(".")
        digest = urlsafe_b64encode(hmac.digest(public, f"{head}.{payload}".encode(), "sha256"))
        signature = digest.decode().rstrip("=")
        forged = {
            "none": jwt.encode(claims, "", algorithm="none", headers={"kid": name}),
            "hs256 with the public key": f"{head}.{payload}.{signature}",
            "another algorithm": jwt.encode(claims, key, algorithm="RS384", headers={"kid": name}),
            "another issuer": link(world, one, iss="https://prolific.com"),
            "no expiry": jwt.encode(
                {k: v for k, v in claims.items() if k != "exp"}, key, algorithm="RS256", headers={"kid": name}
            ),
            "no subject": jwt.encode(
                {k: v for k, v in claims.items() if k != "sub"}, key, algorithm="RS256", headers={"kid": name}
            ),
            "another signature": f"{good}x",
            "an unknown key": jwt.encode(claims, key, algorithm="RS256", headers={"kid": "other"}),
            "no key": jwt.encode(claims, key, algorithm="RS256"),
            "another body": ".".join(
                [
                    good.split(".")[0],
                    link(world, one, exp=claims["exp"] + 9).split(".")[1],
                    good.split(".")[2],
                ]
            ),
            "nothing": "",
            "no token": "a.b.c",
            "too long": "a" * 20_000,
        }
        for what, token in forged.items():
            answer = await put(world, one.id, token, {"failed": 0})
            assert answer.status_code == 401, what
            assert answer.json()["error"] == "study_link", what
        assert await heard(world, one.id) == []
        assert (await put(world, one.id, good, {"failed": 0})).status_code == 202


async def test_browser_evidence_of_another_origin_or_for_a_source_without_cors_is_refused(
    start: Start,
) -> None:
    async with start(RULES, parts=WEB) as world:
        one = world.completed()
        token = link(world, one)
        answer = await put(world, one.id, token, {"failed": 0}, origin="https://evil.example.org")
        assert (answer.status_code, answer.json()["error"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"
        assert (await put(world, one.id, token, {"failed": 0}, source="survey")).status_code == 403
        assert (await put(world, one.id, token, {"failed": 0}, source="nowhere")).status_code == 404
        assert (await put(world, one.id, token, {"wrong": 0})).status_code == 422
        answer = await world.http.put(
            f"/evidence/page/{one.id}", json={"failed": 0}, headers=bearer(EVIDENCE)
        )
        assert answer.status_code == 202
        assert await heard(world, one.id) == [({"failed": 0}, "push")]


async def test_new_signing_key_is_accepted_at_once_and_unknown_keys_cause_few_reads(
    start: Start,
) -> None:
    async with start(RULES, parts=WEB) as world:
        one = world.completed()
        for _ in range(3):
            assert (await put(world, one.id, link(world, one), {"failed": 0})).status_code == 202
            world.sandbox.links.rotate()
        key = world.sandbox.links._keys[-1][1]
        claims = jwt.decode(link(world, one), options={"verify_signature": False})
        made_up = [jwt.encode(claims, key, algorithm="RS256", headers={"kid": f"k{n}"}) for n in range(10)]
        answers = [(await put(world, one.id, token, {"failed": 0})).status_code for token in made_up]
        assert set(answers) == {401, 503}
        assert answers.count(401) <= 5


async def test_unreadable_signing_keys_are_answered_with_503(start: Start) -> None:
    async with start(RULES, parts=WEB, prolific_url="http://127.0.0.1:9") as world:
        one = world.completed()
        answer = await put(world, one.id, link(world, one), {"failed": 0})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert (await put(world, one.id, link(world, one), {"failed": 0})).status_code == 503


@pytest.mark.parametrize(
    ("rules", "fields", "seconds", "outcome", "guard"),
    [
        (RULES, {"failed": 2}, 700, "hold", "policy"),
        (RULES, {"failed": 1}, 700, "approve", None),
        (BOTH_SOURCES, {"failed": 2}, 30, "reject", None),
        (
            RULES.replace("reject:", "request_return: {reasons: [Look.]}\n    recheck_after: 7d\n    #"),
            {"failed": 2},
            700,
            "hold",
            "policy",
        ),
        (
            RULES.replace("    reject:", "    allow: [POL014]\n    because: Agreed.\n    reject:"),
            {"failed": 2},
            700,
            "reject",
            None,
        ),
    ],
)
async def test_browser_evidence_alone_never_decides_against_a_participant(
    start: Start, rules: str, fields: dict[str, Any], seconds: int, outcome: str, guard: str | None
) -> None:
    async with start(rules) as world:
        one = world.completed(seconds=seconds)
        assert (await put(world, one.id, link(world, one), fields)).status_code == 202
        decision = await world.settled(one.id)
        assert (decision["outcome"], decision["guard"]) == (outcome, guard)
        assert decision["facts"]["evidence"]["page"] == fields | {"received": True, "origin": "browser"}
        (seen,) = [
            fact
            for condition in decision["trace"][0]["conditions"]
            for fact in condition["facts"]
            if fact["fact"] == "evidence.page.failed"
        ]
        assert seen["origin"] == "browser"


async def test_server_evidence_with_the_same_value_decides(start: Start) -> None:
    async with start(RULES) as world:
        one = world.completed()
        await put(world, one.id, link(world, one), {"failed": 2})
        await world.settled(one.id)
        await world.push(one.id, {"failed": 2}, source="page")
        decision = await world.settled(one.id, decisions=2)
        assert decision["outcome"] == "reject"
        assert "origin" not in decision["facts"]["evidence"]["page"]
