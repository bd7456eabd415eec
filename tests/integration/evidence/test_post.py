"""``POST /evidence/{source}``: bodies of survey platforms, and each response."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import Parts
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.world import ADMIN, EVIDENCE, World, bearer, write_rules

WEB = Parts(web=True, worker=False)
ID = "65f0000000000000000000aa"
RULES = f"""
version: 1
name: A survey platform
studies: [{STROOP}]
evidence:
  survey:
    from: push
    fields: {{recaptcha: double, failed: int, consented: bool, comment: string}}
    key: SESSION_ID
    map: {{recaptcha: Q_RecaptchaScore, failed: checks.failed, participant_id: PROLIFIC_PID}}
    wait: 30m
  plain:
    from: push
    fields: {{failed: int}}
  typeform:
    from: push
    fields: {{failed: int}}
    key: form_response.hidden.session_id
    map: {{failed: "form_response.answers[?field.ref=='check'].number | [0]"}}
    signature: {{header: Typeform-Signature, prefix: "sha256="}}
  hexed:
    from: push
    fields: {{failed: int}}
    signature: {{header: X-Hub-Signature, encoding: hex}}
rules: []
otherwise: approve
"""
ROW = {"SESSION_ID": ID, "Q_RecaptchaScore": "0.9", "checks": {"failed": "2"}, "Q_BallotBoxStuffing": "no"}


async def post(world: World, source: str = "survey", **content: Any) -> httpx.Response:
    headers = bearer(EVIDENCE) | content.pop("headers", {})
    return await world.http.post(f"/evidence/{source}", headers=headers, **content)


async def stored(world: World, submission: str = ID) -> list[tuple[str, Any]]:
    """Return the stored payloads of a submission, newest first."""
    answer = await world.http.get(f"/api/submissions/{submission}", headers=bearer(ADMIN))
    return [(one["source"], one["payload"]) for one in answer.json().get("evidence", [])]


async def test_post_reads_one_object_by_key_and_map_and_answers_a_repeat_with_200(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        answer = await post(world, json=ROW)
        assert (answer.status_code, answer.json()) == (
            202,
            {"source": "survey", "submission_id": ID, "status": "accepted"},
        )
        assert await stored(world) == [("survey", {"recaptcha": 0.9, "failed": 2})]
        repeat = await post(world, json=ROW | {"Q_BallotBoxStuffing": "yes"})
        assert (repeat.status_code, repeat.json()["status"]) == (200, "duplicate")
        assert len(await stored(world)) == 1
        assert (await post(world, json=ROW | {"Q_RecaptchaScore": 0.1})).status_code == 202
        assert (await world.api("status"))["jobs"]["queued"] == 2


async def test_post_reads_a_flat_object_by_default(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        assert (
            await post(world, "plain", json={"submission_id": ID, "failed": 1, "x": []})
        ).status_code == 202
        assert await stored(world) == [("plain", {"failed": 1})]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (
            f"SESSION_ID={ID}&Q_RecaptchaScore=0.9&consented=Yes&comment=a%20b&more=1",
            "application/x-www-form-urlencoded",
        ),
        (
            f"SESSION_ID={ID}&Q_RecaptchaScore=0.9&consented=1&comment=a+b",
            "application/x-www-form-urlencoded; charset=UTF-8",
        ),
    ],
)
async def test_post_reads_a_form_as_texts(start: Start, content: str, kind: str) -> None:
    async with start(RULES, parts=WEB) as world:
        answer = await post(world, content=content, headers={"Content-Type": kind})
        assert answer.status_code == 202
        assert await stored(world) == [("survey", {"recaptcha": 0.9, "consented": True, "comment": "a b"})]


async def test_post_reads_a_multipart_form_and_refuses_files(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        fields = {"SESSION_ID": (None, ID), "Q_RecaptchaScore": (None, "0.9"), "comment": (None, "für")}
        assert (await post(world, files=fields)).status_code == 202
        assert await stored(world) == [("survey", {"recaptcha": 0.9, "comment": "für"})]
        answer = await post(world, files=fields | {"upload": ("a.txt", b"a")})
        assert (answer.status_code, answer.json()["error"]) == (422, "not_a_form")


LINES = "\n".join(
    [
        json.dumps(ROW),
        '{"SESSION_ID": "b", "Q_RecaptchaScore": "high"}',
        "{broken",
        '{"SESSION_ID": "${e://Field/SESSION_ID}", "Q_RecaptchaScore": "1"}',
        '{"SESSION_ID": "c", "consented": "true"}',
        "[]",
        '{"SESSION_ID": "c", "consented": "true", "consented": "false"}',
        "",
    ]
)


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "text/plain", ""])
async def test_post_answers_each_row_of_ndjson(start: Start, kind: str) -> None:
    async with start(RULES, parts=WEB) as world:
        answer = await post(world, content=LINES, headers={"Content-Type": kind})
        assert answer.status_code == 207
        rows = answer.json()["results"]
        assert [(row["submission_id"], row["status"]) for row in rows] == [
            (ID, 202),
            ("b", 422),
            (None, 422),
            (None, 422),
            ("c", 202),
            (None, 422),
            (None, 422),
        ]
        assert rows[1]["error"] == (
            "Source survey, submission b: recaptcha (at Q_RecaptchaScore): 'high' is not a number, such as 0.9 (double)."
        )
        assert "embedded data" in rows[3]["error"]
        assert await stored(world, "c") == [("survey", {"consented": True})]


async def test_post_answers_an_array_with_the_common_status_of_its_rows(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        rows = [ROW | {"SESSION_ID": name} for name in ("a", "b", "a")]
        answer = await post(world, json=rows)
        assert answer.status_code == 207  # the third repeats the first
        assert [row["status"] for row in answer.json()["results"]] == [202, 202, 200]
        assert (await post(world, json=rows)).status_code == 200
        assert (await post(world, json=[{}, 1])).status_code == 422
        assert (await world.api("status"))["jobs"]["queued"] == 2


async def test_post_stores_many_rows_in_one_commit_and_refuses_too_many(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        lines = "\n".join(f'{{"submission_id":"s{number}","failed":1}}' for number in range(10_000))
        answer = await post(world, "plain", content=lines)
        assert answer.status_code == 202
        assert len(answer.json()["results"]) == 10_000
        assert await stored(world, "s9999") == [("plain", {"failed": 1})]
        answer = await post(world, "plain", content="{}\n" * 100_000)
        assert (answer.status_code, answer.json()["error"]) == (422, "too_many_rows")


REFUSED_BODIES: list[tuple[bytes, str]] = [
    (b"", "not_json"),
    (b"{", "not_json"),
    (b"[" * 200_000, "not_json"),
    (b'{"a":' * 100_000, "not_json"),
    (b"\xff\xfe{", "not_json"),
    (b'"text"', "not_an_object"),
    (b"7", "not_an_object"),
    (b"null", "not_an_object"),
    (b"[]", "no_rows"),
    (b'{"SESSION_ID": "a", "SESSION_ID": "b"}', "duplicate_key"),
    (b'{"SESSION_ID": "a"}', "no_field"),
    (b'{"consented": true}', "no_key"),
    (b'{"SESSION_ID": 7, "consented": true}', "no_key"),
    (b'{"SESSION_ID": ["a"], "consented": true}', "no_key"),
    (b'{"SESSION_ID": null, "consented": true}', "no_key"),
    (b'{"SESSION_ID": "\\ud800", "consented": true}', "no_key"),
    (b'{"SESSION_ID": "{{%SESSION_ID%}}", "consented": true}', "no_key"),
    (b'{"SESSION_ID": "a", "consented": 1}', "evidence"),
    (b'{"SESSION_ID": "a", "Q_RecaptchaScore": NaN}', "evidence"),
    (b'{"SESSION_ID": "a", "Q_RecaptchaScore": 1e999}', "evidence"),
    (b'{"SESSION_ID": "a", "comment": 5}', "evidence"),
    (b'{"SESSION_ID": "a", "comment": "\\u0000"}', "evidence"),
    (b'{"SESSION_ID": "a", "comment": "\\ud800"}', "evidence"),
    (b'{"SESSION_ID": "a", "consented": true, "PROLIFIC_PID": 5}', "evidence"),
    (b'{"SESSION_ID": "a", "checks": {"failed": "two"}}', "evidence"),
]


async def test_post_without_any_declared_field_is_422_and_recorded(
    start: Start, subtests: pytest.Subtests
) -> None:
    counted = Counter[str]()
    async with start(RULES, parts=WEB) as world:
        for body, code in REFUSED_BODIES:
            with subtests.test(body=body[:80], code=code):
                counted[code] += 1
                answer = await post(world, content=body, headers={"Content-Type": "application/json"})
                assert (answer.status_code, answer.json()["error"]) == (422, code)
                refused = (await world.api("status"))["evidence"]["refused"]
                assert {(row["source"], row["reason"]): row["number"] for row in refused} == {
                    ("survey", reason): number for reason, number in counted.items()
                }
                (newest,) = [row for row in refused if row["reason"] == code]
                assert newest["last_message"] == answer.json()["message"]
                assert (
                    f'autoreview_evidence_refused_total{{reason="{code}",source="survey"}} {counted[code]}.0'
                    in (await world.http.get("/metrics")).text
                )


UNREADABLE_FORMS: list[tuple[bytes, str, str]] = [
    (b"SESSION_ID=%ff&consented=1", "application/x-www-form-urlencoded", "charset"),
    (b"a=1", "application/x-www-form-urlencoded; charset=utf-16", "charset"),
    (b"&".join([b"a=1"] * 2000), "application/x-www-form-urlencoded", "too_many_fields"),
    (
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1",
        "multipart/form-data; boundary=x",
        "not_a_form",
    ),
    (b"--x--", "multipart/form-data", "not_a_form"),
]


async def test_post_of_an_unreadable_form_is_422(start: Start, subtests: pytest.Subtests) -> None:
    async with start(RULES, parts=WEB) as world:
        for content, kind, code in UNREADABLE_FORMS:
            with subtests.test(content=content, kind=kind, code=code):
                answer = await post(world, content=content, headers={"Content-Type": kind})
                assert (answer.status_code, answer.json()["error"]) == (422, code)


async def test_post_with_an_unfilled_placeholder_is_stored_with_a_warning(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        answer = await post(world, json=ROW | {"Q_RecaptchaScore": "${e://Field/Q_RecaptchaScore}"})
        assert answer.status_code == 202
        (warning,) = answer.json()["warnings"]
        assert "declare Q_RecaptchaScore as embedded data" in warning
        assert await stored(world) == [("survey", {"failed": 2})]
        shown = await world.api(f"submissions/{ID}")
        assert shown["evidence"][0]["remarks"]["recaptcha"] == warning


async def test_post_to_an_unknown_source_or_with_a_bad_size_encoding_or_token_is_refused(
    start: Start,
) -> None:
    async with start(RULES, parts=WEB) as world:
        assert (await post(world, "nowhere", json=ROW)).status_code == 404
        assert (await post(world, content=b"x" * (1024 * 1024 + 1))).status_code == 413
        answer = await post(world, content=b"x", headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 415
        for given in (
            "",
            "Bearer wrong",
            "Basic !",
            f"Basic {b64encode(b'a:wrong').decode()}",
            f"Basic {EVIDENCE}",
        ):
            answer = await post(world, json=ROW, headers={"Authorization": given})
            assert answer.status_code == 401
        assert await stored(world) == []
        refused = {row["reason"]: row["number"] for row in (await world.api("status"))["evidence"]["refused"]}
        assert refused == {"no_such_source": 1, "too_large": 1, "content_encoding": 1, "unauthorised": 5}


async def test_post_accepts_the_token_as_basic_password(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        for name in ("redcap", ""):
            basic = b64encode(f"{name}:{EVIDENCE}".encode()).decode()
            answer = await post(world, json=ROW, headers={"Authorization": f"Basic {basic}"})
            assert answer.status_code in {200, 202}


def typeform(secret: str, body: bytes) -> dict[str, str]:
    digest = b64encode(hmac.digest(secret.encode(), body, sha256)).decode()
    return {"Typeform-Signature": f"sha256={digest}"}


ANSWERS = {"answers": [{"field": {"ref": "x"}, "number": 9}, {"field": {"ref": "check"}, "number": 2}]}
SIGNED = json.dumps({"form_response": {"hidden": {"session_id": ID}} | ANSWERS}).encode()


async def test_signed_source_accepts_signed_bodies_only(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one\n")
    monkeypatch.setenv("AUTOREVIEW_SOURCE_TYPEFORM_FILE", str(secret))
    monkeypatch.setenv("AUTOREVIEW_SOURCE_HEXED", "two")
    async with start(RULES, parts=WEB) as world:
        for headers in (
            bearer(EVIDENCE),
            typeform("wrong", SIGNED),
            typeform("one", SIGNED + b" "),
            {"Typeform-Signature": typeform("one", SIGNED)["Typeform-Signature"].removeprefix("sha256=")},
            {"Typeform-Signature": "sha256=é".encode().decode("latin-1")},
        ):
            sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
            answer = await world.http.post("/evidence/typeform", content=SIGNED, headers=sent)
            assert (answer.status_code, answer.json()["error"]) == (401, "signature")
        answer = await world.http.put(
            f"/evidence/typeform/{ID}", json={"failed": 1}, headers=bearer(EVIDENCE)
        )
        assert answer.status_code == 401
        answer = await world.http.post("/evidence/typeform", content=SIGNED, headers=typeform("one", SIGNED))
        assert answer.status_code == 202
        assert await stored(world) == [("typeform", {"failed": 2})]
        secret.write_text("another-one")
        answer = await world.http.post(
            "/evidence/typeform", content=SIGNED, headers=typeform("another-one", SIGNED)
        )
        assert answer.status_code == 200
        body = json.dumps({"submission_id": ID, "failed": 1}).encode()
        digest = hmac.digest(b"two", body, sha256).hex()
        answer = await world.http.post("/evidence/hexed", content=body, headers={"X-Hub-Signature": digest})
        assert answer.status_code == 202


async def test_signed_source_without_a_secret_names_the_variable(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        answer = await world.http.post("/evidence/typeform", content=SIGNED, headers=typeform("one", SIGNED))
        assert answer.status_code == 403
        assert "AUTOREVIEW_SOURCE_TYPEFORM" in answer.json()["message"]


async def test_converted_text_values_decide(start: Start) -> None:
    rules = RULES.replace(
        "rules: []", "rules:\n  - {name: bots, when: evidence.survey.recaptcha < 0.5, hold: look}"
    )
    async with start(rules) as world:
        one, other = world.completed(), world.completed()
        rows = [
            {"SESSION_ID": one.id, "Q_RecaptchaScore": "0.1"},
            {"SESSION_ID": other.id, "Q_RecaptchaScore": "0.9"},
        ]
        answer = await post(world, json=rows)
        assert answer.status_code == 202
        outcomes = [(await world.settled(submission.id))["outcome"] for submission in (one, other)]
        assert outcomes == ["hold", "approve"]


TWO_READINGS = """
version: 1
name: {name}
studies: [{study}]
evidence:
  survey: {{from: push, fields: {{score: int}}, map: {{score: {path}}}}}
rules:
  - {{name: low, when: evidence.survey.score < 5, hold: look}}
otherwise: approve
"""


async def test_body_that_two_files_read_differently_counts_as_its_own_file_reads_it(
    start: Start, tmp_path: Path
) -> None:
    write_rules(tmp_path / "rules", "")
    (tmp_path / "rules" / "other.yaml").write_text(TWO_READINGS.format(name="b", study=TWO_PARTS, path="b"))
    async with start(TWO_READINGS.format(name="a", study=STROOP, path="a")) as world:
        one, other = world.completed(), world.completed(study=TWO_PARTS, code="ONE11111")
        rows = [{"submission_id": submission.id, "a": 9, "b": 1} for submission in (one, other)]
        assert (await post(world, json=rows)).status_code == 202
        first, second = await asyncio.gather(world.settled(one.id), world.settled(other.id))
        assert first["facts"]["evidence"]["survey"]["score"] == 9
        assert second["facts"]["evidence"]["survey"]["score"] == 1


async def test_refused_deliveries_without_a_token_are_recorded_with_a_rate_limit(start: Start) -> None:
    async with start(RULES, parts=WEB) as world:
        for _ in range(40):
            await world.http.post("/evidence/survey", json=ROW)
        refused = {row["reason"]: row["number"] for row in (await world.api("status"))["evidence"]["refused"]}
        assert refused["unauthorised"] == 20
        assert refused["too_many_wrong_tokens"] == 20
