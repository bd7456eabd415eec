"""Manual decisions that are not allowed or malformed are refused with a sentence, never a crash."""

import json
from typing import Any

import pytest

from service.app import Parts
from service.domain.submission import Status
from service.sandbox.model import By
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.integration.manual.orders import APPROVE, APPROVED, HELD, HOLD, REJECTED, held, resolve, resolved
from tests.world import ADMIN, MESSAGE, World, bearer, rules_text, signed, status_change

WEB = Parts(web=True, worker=False)
ROUTES = ["/api/submissions/abc/resolve", "/api/pause", "/api/resume"]


async def test_all_that_is_wrong_with_an_action_is_422_and_named(start: Start) -> None:
    wrong: list[tuple[Any, str]] = [
        ({"reject": {"category": "OTHER", "message": "too short"}}, "100 characters"),
        ({"reject": {"category": "RUDE", "message": MESSAGE}}, "reject.category"),
        ({"reject": {"category": "fail_check", "message": MESSAGE}}, "did you mean FAILED_CHECK"),
        ({"reject": {"category": "OTHER", "message": " " * 200}}, "reject.message"),
        ({"reject": {"category": "OTHER", "message": MESSAGE + "\x00"}}, "control characters"),
        ({"reject": {"category": "OTHER", "message": "x" * 6000}}, "5000"),
        ({"reject": {"category": "OTHER"}}, "reject.message"),
        ({"reject": {"category": "OTHER", "message": 7}}, "reject.message"),
        ({"reject": {"category": "OTHER", "message": MESSAGE, "tone": "kind"}}, "reject.tone"),
        ({"reject": None}, "reject"),
        ({"reject": []}, "reject"),
        ({"hold": None}, "hold"),
        ({"hold": {"reason": "x"}}, "hold"),
        ({"hold": "   "}, "hold"),
        ({"request_return": {}}, "request_return.reasons"),
        ({"request_return": {"reasons": []}}, "request_return.reasons"),
        ({"request_return": {"reasons": ["ok", ""]}}, "request_return.reasons.1"),
        ({"request_return": {"reasons": "one"}}, "request_return.reasons"),
        ({"complete": {}}, "code_type or code"),
        ({"complete": {"code": "A", "code_type": "B"}}, "code_type or code"),
        ({"complete": {"code_type": "PARTIAL_PAYMENT"}}, "percentage"),
        ({"complete": {"code_type": "NOT_THERE", "percentage_of_reward": 50}}, "NOT_THERE"),
        ({"complete": {"code": "0NEPART1", "percentage_of_reward": 50}}, "0NEPART1"),
        ({"complete": {"code_type": "PARTIAL_PAYMENT", "percentage_of_reward": 7}}, "percentage_of_reward"),
        ({"complete": {"code_type": "PARTIAL_PAYMENT", "percentage_of_reward": "50"}}, "percentage_of_reward"),
        ({"approve": {"bonus": 5}}, "approve.bonus"),
        ({"approve": {}, "hold": "both"}, "one of approve"),
        ({"pay": {}}, "one of approve"),
        ({}, "one of approve"),
        ([], "one of approve"),
        ("approve", "one of approve"),
        (None, "one of approve"),
    ]  # fmt: skip
    async with start(HOLD.replace(STROOP, TWO_PARTS)) as world:
        submission = await held(world, study=TWO_PARTS, code="B0THPART")
        for action, named in wrong:
            answer = await resolve(world, submission, action)
            assert (answer.status_code, answer.json()["error"]) == (422, "invalid_action"), (
                action,
                answer.text,
            )
            assert named in answer.json()["message"], (action, answer.text)
        assert len(await world.decisions(submission.id)) == 1
        assert world.calls(submission.id) == []


async def test_texts_of_all_the_world_can_be_sent(start: Start) -> None:
    """Line ends of Windows, spaces that don't break, joined emoji: nothing of it is a control character."""
    text = f"Ça ne va pas\u00a0: réessayez. 👩\u200d🔬\r\n\t“{MESSAGE}”"
    async with start(HOLD) as world:
        submission = await held(world)
        await resolved(world, submission, {"reject": {"category": "OTHER", "message": text}}, by="Zoë 王")
        decision = await world.settled(submission.id, decisions=2)
        assert decision["by"] == "Zoë 王"
        assert world.calls(submission.id)[0]["message"] == text.replace("\r\n", "\n")


async def test_a_rejection_without_a_word_is_never_an_approval(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        for action in ("reject", "request_return", "complete", "hold"):
            assert (await resolve(world, submission, {action: None})).status_code == 422
        await world.at_rest()
        assert submission.status is Status.AWAITING_REVIEW


async def test_manual_decision_needs_a_name(start: Start) -> None:
    async with start(HOLD, parts=WEB) as world:
        unseen = ("\u200b", "\u200b\ufeff \u2060", "\u3164", "\u2800", "\ufe0f", "A\u2028da", "A\u2029da")
        for by in ("", "  ", None, 7, ["Ada"], "A\nda", "A\x00da", "x" * 201, *unseen):
            answer = await resolve(world, "abc", APPROVED, by=by)  # type: ignore[arg-type]
            assert answer.status_code == 422, by
            assert answer.json()["message"].startswith("by:")


async def test_a_note_is_a_text_that_can_be_kept(start: Start) -> None:
    async with start(HOLD, parts=WEB) as world:
        for note in (7, ["x"], "\x00", "x" * 5001):
            answer = await resolve(world, "abc", APPROVED, note=note)
            assert answer.status_code == 422, note
            assert answer.json()["message"].startswith("note:")


HOSTILE = [
    (b"", 422),
    (b"not json", 422),
    (b"[]", 422),
    (b'"text"', 422),
    (b"null", 422),
    (b"\xff\xfe\x00", 422),
    (b"[" * 60_000, 422),
    (b'{"by": "Ada", "reason": "x", "action": {"hold": "x"}, "colour": "red"}', 422),
    (b'{"by": 5, "reason": 5, "study": 5, "action": 5}', 422),
    (b'{"by": "\\ud800", "reason": "\\u0000", "study": "\\u0000", "action": {"hold": "\\u0000"}}', 422),
    (b'{"by": ' + b"9" * 5000 + b"}", 422),
    (b'{"\\ud800": 1}', 422),
    (b'{"' + b"x" * 60_000 + b'": 1}', 422),
    (b"{" + b", ".join(b'"%d": 1' % number for number in range(5000)) + b"}", 422),
    (b'{"by": "Ada", "reason": "x", "action": {"\\ud800": {}}}', 422),
    (b'{"by": "Ada", "action": {"reject": {"\\ud800": 1}}}', 422),
    (b'{"by": "Ada", "action": {"reject": {"' + b"x" * 60_000 + b'": "\\ud800"}}}', 422),
    (b'{"by": "Ada", "action": {"complete": {"code": "\\ud800", "percentage_of_reward": "\\udfff"}}}', 422),
    (b'{"by": "' + b"x" * 1_000_000 + b'"}', 413),
]


async def test_a_hostile_body_is_refused_in_a_sentence(start: Start, subtests: pytest.Subtests) -> None:
    async with start(HOLD, parts=WEB) as world:
        for route in ROUTES:
            with subtests.test(route=route):
                for body, status in HOSTILE:
                    answer = await world.http.post(route, content=body, headers=bearer(ADMIN))
                    assert answer.status_code == status, body[:80]
                    assert {"error", "message", "detail"} <= set(answer.json())
                    assert 0 < len(answer.json()["message"]) <= 5001
                assert (await world.api("status"))["pauses"] == []


async def test_what_is_quoted_is_cut_and_the_rest_is_said(start: Start) -> None:
    action = {"reject": {"category": "x" * 4000, "message": MESSAGE, "y" * 4000: 1}}
    async with start(HOLD, parts=WEB) as world:
        message = (await resolve(world, "abc", action)).json()["message"]
        assert len(message) < 600
        assert "is none of TOO_QUICKLY" in message
        assert "Extra inputs are not permitted" in message


async def test_what_was_never_heard_of_is_not_decided(start: Start) -> None:
    async with start(HOLD, parts=WEB) as world:
        for name in ("abc", "%00", "a%00b", "%F0%9F%92%A9", "x" * 3000, "%ED%A0%80", "a%20b"):
            answer = await resolve(world, name, APPROVED)
            expected = (422, "query") if "%00" in name else (404, "never_heard_of")
            assert (answer.status_code, answer.json()["error"]) == expected, name
        assert (await world.api("status"))["decisions"]["outcome"] == {}


async def test_what_a_rule_approved_is_decided_already(start: Start) -> None:
    rules = """
  - name: good code
    when: submission.code_type == "COMPLETED"
    approve:
"""
    async with start(rules_text(rules)) as world:
        submission = world.completed()
        await world.reviewed(submission)
        await _refused(world, submission.id, "Rule 'good code' decided it", "approve, applied")


async def test_what_the_participant_returned_awaits_no_review(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        world.sandbox.change(submission, Status.RETURNED, By.PARTICIPANT, notify=False)
        await world.tell(submission.id, "RETURNED")
        await world.at_rest()
        await _refused(world, submission.id, "RETURNED")


async def test_unseen_submission_with_an_end_event_awaits_no_review(
    start: Start, subtests: pytest.Subtests
) -> None:
    """The newest webhook counts by Prolific's time, in any order of arrival."""
    async with start(HOLD, parts=WEB) as world:
        for status in ("RETURNED", "approved", "SCREENED_OUT"):
            with subtests.test(status=status):
                submission = world.completed()
                await _told(world, submission.id, "AWAITING REVIEW", at=999)
                await _told(world, submission.id, status, at=1001)
                await _told(world, submission.id, "AWAITING REVIEW", at=1000)
                await _refused(world, submission.id, "no longer awaits review", status)


async def test_what_was_never_seen_and_awaits_review_again_can_be_decided(start: Start) -> None:
    async with start(HOLD, parts=WEB) as world:
        submission = world.completed()
        await _told(world, submission.id, "AWAITING REVIEW", at=1001)
        await _told(world, submission.id, "RETURNED", at=1000)
        await resolved(world, submission, APPROVED)


async def test_without_prolifics_time_the_webhook_that_came_last_counts(start: Start) -> None:
    async with start(HOLD, parts=WEB) as world:
        submission = world.completed()
        await _told(world, submission.id, "AWAITING REVIEW", at="2026-01-01T00:00:00Z")
        await _told(world, submission.id, "RETURNED", at="-")
        await _refused(world, submission.id, "RETURNED")
        await _told(world, submission.id, "AWAITING REVIEW", at="soon")
        await resolved(world, submission, APPROVED)


async def _told(world: World, submission: str, status: str, *, at: object) -> None:
    body = status_change(submission, status)
    headers = signed(body, event_id=f"{at}: {status}") | {"X-Timestamp": str(at)}
    assert (await world.http.post("/webhooks/prolific", content=body, headers=headers)).status_code == 202


async def test_what_a_person_decided_is_decided_already_before_it_is_sent(start: Start) -> None:
    async with start(HOLD) as world:
        submission = await held(world)
        sandbox = world.sandbox
    async with start(HOLD, parts=WEB, sandbox=sandbox) as world:
        await resolved(world, submission, APPROVED)
        await _refused(world, submission.id, "Ada decided it", "approve, pending")


async def _refused(world: World, submission: str, *named: str) -> None:
    for action in (APPROVED, REJECTED, HELD):
        answer = await resolve(world, submission, action, by="Bob")
        assert (answer.status_code, answer.json()["error"]) == (409, "already_decided"), answer.text
        for words in named:
            assert words in answer.json()["message"]
    assert not any(row["by"] == "Bob" for row in await world.decisions(submission))


async def test_requests_without_a_token_are_refused(start: Start) -> None:
    said = json.dumps({"by": "Ada", "reason": "x", "action": APPROVED})
    async with start(APPROVE, parts=WEB) as world:
        for route in ("/api/holds", *ROUTES):
            for headers in ({}, bearer("wrong"), {"Authorization": f"Basic {ADMIN}"}):
                method = "GET" if route == "/api/holds" else "POST"
                answer = await world.http.request(method, route, content=said, headers=headers)
                assert (answer.status_code, answer.json()["error"]) == (401, "unauthorised")
        assert (await world.api("status"))["pauses"] == []


async def test_without_a_configured_token_the_variable_is_named(start: Start) -> None:
    async with start(APPROVE, parts=WEB, admin_token=None) as world:
        for route in ("/api/holds", *ROUTES):
            method = "GET" if route == "/api/holds" else "POST"
            answer = await world.http.request(method, route, headers=bearer("any"))
            assert answer.status_code == 403
            assert "AUTOREVIEW_ADMIN_TOKEN" in answer.json()["message"]


DUPLICATE_KEYS: list[tuple[bytes, str]] = [
    (b'{"action": {"approve": {}}, "action": {"hold": {"reason": "x"}}, "by": "Ada"}', "action"),
    (b'{"action": {"approve": {}}, "by": "Ada", "by": "Zoe"}', "by"),
    (b'{"action": {"approve": {}, "approve": {}}, "by": "Ada"}', "approve"),
]


async def test_a_key_that_occurs_twice_is_422_and_named(start: Start, subtests: pytest.Subtests) -> None:
    async with start(HOLD, parts=WEB) as world:
        for body, key in DUPLICATE_KEYS:
            with subtests.test(body=body, key=key):
                answer = await world.http.post(
                    "/api/submissions/abc/resolve", content=body, headers=bearer(ADMIN)
                )
                assert (answer.status_code, f"'{key}' occurs twice" in answer.json()["message"]) == (
                    422,
                    True,
                )
