"""``PUT /evidence/{source}/{submission_id}``: each response."""

import json

import pytest
from sqlalchemy import text

from service.app import Parts
from service.domain.submission import Status, Submission
from service.sandbox.studies import STROOP, TWO_PARTS
from service.store.submissions import save_submission
from tests.conftest import Start
from tests.world import ADMIN, EVIDENCE, bearer, rules_text

WEB = Parts(web=True, worker=False)
GOOD = {"attention_failed": 1, "gibberish": 0.5, "consented": True, "comment": "fine"}


async def test_put_stores_evidence_with_its_review_and_answers_202(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.push("abc", GOOD)).status_code == 202
        heard = await world.api("submissions/abc")
        assert [(said["source"], said["payload"]) for said in heard["evidence"]] == [("survey", GOOD)]
        assert (await world.api("status"))["jobs"]["queued"] == 1


async def test_put_replaces_the_earlier_payload_of_the_source(start: Start) -> None:
    rules = """
  - name: a hold
    when: evidence.survey.attention_failed >= 2
    hold: look
"""
    async with start(rules_text(rules)) as world:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 2, "comment": "first"})
        assert (await world.settled(submission.id))["outcome"] == "hold"
        await world.push(submission.id, {"attention_failed": 0})
        decision = await world.settled(submission.id, decisions=2)
        assert decision["outcome"] == "approve"
        assert decision["facts"]["evidence"]["survey"] == {"attention_failed": 0, "received": True}


WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"attention_faild": 1}, "attention_faild"),
    ({"attention_failed": True}, "attention_failed"),
    ({"attention_failed": "1"}, "attention_failed"),
    ({"attention_failed": 1.0}, "attention_failed"),
    ({"attention_failed": 2**63}, "attention_failed"),
    ({"gibberish": "0.5"}, "gibberish"),
    ({"gibberish": True}, "gibberish"),
    ({"consented": 1}, "consented"),
    ({"consented": "true"}, "consented"),
    ({"comment": 5}, "comment"),
    ({"comment": ["a"]}, "comment"),
    ({"comment": "\x00"}, "comment"),
    ({"comment": "\ud800"}, "comment"),
    ({"\ud800": 1}, "\\ud800"),
    ({"\x00": 1}, "\x00"),
]


async def test_put_with_an_unknown_or_wrong_field_is_422_naming_it(
    start: Start, subtests: pytest.Subtests
) -> None:
    async with start(parts=WEB) as world:
        for fields, named in WRONG_FIELDS:
            with subtests.test(fields=fields, named=named):
                answer = await world.http.put(
                    "/evidence/survey/abc", content=json.dumps(fields), headers=bearer(EVIDENCE)
                )
                assert answer.status_code == 422
                assert named in answer.json()["message"]
                assert (
                    await world.http.get("/api/submissions/abc", headers=bearer("an-admin"))
                ).status_code == 404


async def test_put_names_a_long_field_by_its_beginning(start: Start) -> None:
    async with start(parts=WEB) as world:
        answer = await world.push("abc", {"x" * 30_000: 1})
        assert answer.status_code == 422
        told = "x" * 200 + ": source survey declares no such field"
        assert (answer.json()["message"], answer.json()["fields"]) == (told, {"x" * 200: told})


NOT_OBJECTS: list[bytes] = [
    b"",
    b"[]",
    b"null",
    b'"a"',
    b"{",
    b"[" * 50_000,
    b"\xff",
    b'{"gibberish": NaN}',
    b'{"gibberish": 1e999}',
]


async def test_put_of_anything_but_a_typed_json_object_is_422(
    start: Start, subtests: pytest.Subtests
) -> None:
    async with start(parts=WEB) as world:
        for body in NOT_OBJECTS:
            with subtests.test(body=body):
                answer = await world.http.put("/evidence/survey/abc", content=body, headers=bearer(EVIDENCE))
                assert answer.status_code == 422


FITTING: list[dict[str, object]] = [
    {},
    {"attention_failed": None},
    {"gibberish": 3},
    {"attention_failed": 2**63 - 1},
]


async def test_put_accepts_null_absent_fields_and_whole_numbers_for_doubles(
    start: Start, subtests: pytest.Subtests
) -> None:
    async with start(parts=WEB) as world:
        for fields in FITTING:
            with subtests.test(fields=fields):
                assert (await world.push("abc", fields)).status_code == 202


async def test_put_to_an_undeclared_source_is_404(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.push("abc", GOOD, source="questionnaire")).status_code == 404


async def test_put_for_a_submission_whose_file_lacks_the_source_is_404(start: Start) -> None:
    async with start(rules_text()) as world:
        submission = world.completed(study=TWO_PARTS)
        await world.tell(submission.id)
        await world.at_rest()
        assert (await world.push(submission.id, GOOD)).status_code == 404


async def test_put_for_a_part_of_a_study_uses_the_file_of_the_parent_study(start: Start) -> None:
    async with start(parts=WEB) as world:
        async with world.service.database.begin() as connection:
            for name, parent in (("ours", STROOP), ("other", TWO_PARTS)):
                seen = Submission(name, f"part of {parent}", None, Status.ACTIVE, parent_study_id=parent)
                await save_submission(connection, seen, claimed=True)
        assert (await world.push("ours", GOOD)).status_code == 202
        assert (await world.push("other", GOOD)).status_code == 404


async def test_put_over_64_kib_is_413(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.push("abc", {"comment": "x" * 70_000})).status_code == 413


async def test_put_with_a_missing_or_wrong_token_is_401(start: Start) -> None:
    async with start(parts=WEB) as world:
        for given in ("", "Bearer wrong", EVIDENCE, "Bearer é", f"Basic {EVIDENCE}"):
            headers = {b"Authorization": given.encode()}
            answer = await world.http.put("/evidence/survey/abc", json=GOOD, headers=headers)
            assert answer.status_code == 401


async def test_put_without_a_configured_token_is_403_naming_the_variable(start: Start) -> None:
    async with start(parts=WEB, evidence_token=None) as world:
        answer = await world.push("abc", GOOD)
        assert answer.status_code == 403
        assert "AUTOREVIEW_EVIDENCE_TOKEN" in answer.json()["message"]


async def test_put_with_an_invalid_submission_id_is_422(start: Start) -> None:
    async with start(parts=WEB) as world:
        assert (await world.push("a%20b", GOOD)).status_code == 422


DUPLICATE_KEYS: list[tuple[bytes, str]] = [
    (b'{"attention_failed": 0, "attention_failed": 5}', "attention_failed"),
    (b'{"comment": {"a": 1, "a": 2}}', "a"),
    (b'{"\\ud800": 1, "\\ud800": 2}', "\\ud800"),
]


async def test_put_with_a_duplicate_key_is_422_naming_it(start: Start, subtests: pytest.Subtests) -> None:
    async with start(parts=WEB) as world:
        for body, key in DUPLICATE_KEYS:
            with subtests.test(body=body, key=key):
                answer = await world.http.put("/evidence/survey/abc", content=body, headers=bearer(EVIDENCE))
                assert (answer.status_code, answer.json()["error"]) == (422, "duplicate_key")
                assert list(answer.json()["fields"]) == [key]
                assert (
                    await world.http.get("/api/submissions/abc", headers=bearer(ADMIN))
                ).status_code == 404


async def test_evidence_for_an_unknown_submission_is_kept_without_a_failure(start: Start) -> None:
    """The preview of a survey sends such ids. No sweep repeats them."""
    async with start(rules_text()) as world:
        preview = "65f0000000000000000000aa"
        assert (await world.push(preview, {"attention_failed": 0})).status_code == 202
        await world.at_rest()
        assert await world.decisions(preview) == []
        async with world.service.database.connect() as connection:
            unread = await connection.scalar(text("SELECT count(*) FROM evidence WHERE handled_at IS NULL"))
        assert unread == 0
        assert "autoreview_evidence_unknown_total 1.0" in (await world.http.get("/metrics")).text


async def test_unknown_submission_of_a_webhook_is_failed(start: Start) -> None:
    async with start(rules_text()) as world:
        unknown = "65f0000000000000000000aa"
        await world.push(unknown, {"attention_failed": 0})
        await world.tell(unknown)
        assert (await world.settled(unknown))["status"] == "failed"
