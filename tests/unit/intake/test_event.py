"""Read events from arbitrary bytes."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.intake.event import event_id, read_event
from tests.world import status_change


@pytest.mark.parametrize(
    "status", ["AWAITING REVIEW", "AWAITING_REVIEW", "awaiting-review", "Awaiting Review"]
)
def test_event_of_awaiting_review_in_any_spelling_starts_a_review(status: str) -> None:
    event = read_event("e", status_change("abc", status))
    assert event.readable
    assert event.calls_for_review
    assert event.submission_id == "abc"


@pytest.mark.parametrize(
    "status", ["RESERVED", "ACTIVE", "APPROVED", "REJECTED", "RETURNED", "TIMED-OUT", "TIMED_OUT"]
)
def test_event_of_another_status_starts_no_review(status: str) -> None:
    event = read_event("e", status_change("abc", status))
    assert event.readable
    assert not event.calls_for_review


def test_event_of_an_unknown_status_starts_a_review() -> None:
    assert read_event("e", status_change("abc", "UNDER SCRUTINY")).calls_for_review


def test_event_of_another_type_is_readable_and_starts_no_review() -> None:
    event = read_event(
        "e", b'{"event_type": "study.status.change", "resource_id": "s", "status": "AWAITING REVIEW"}'
    )
    assert (event.event_type, event.readable) == ("study.status.change", True)
    assert event.submission_id is None
    assert not event.calls_for_review


GOOD = json.loads(status_change("abc"))
BAD_BODIES = [
    b"",
    b"not json",
    b"\xff\xfe",
    b"[]",
    b'"text"',
    b"null",
    b"{}",
    b'{"event_type": 5}',
    *(json.dumps({**GOOD, "resource_id": bad}).encode() for bad in (None, 5, "", "a/../b", "x" * 101, ["a"])),
    *(json.dumps({**GOOD, "status": bad}).encode() for bad in (None, 5, "", "x" * 201)),
    json.dumps({**GOOD, "note": "a\x00b"}).encode(),
    json.dumps({**GOOD, "note\x00": "ab"}).encode(),
    json.dumps({**GOOD, "note": "\ud800"}).encode(),
    *(
        json.dumps({**GOOD, field: "A\ud800B"}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        for field in ("status", "event_type", "participant_id")
    ),
    *(
        json.dumps({**GOOD, "status": f"A{character}B"}).encode(encoding)
        for character in ("\x00", "\ud800")
        for encoding in ("utf-16", "utf-16-le", "utf-32-be")
    ),
    b'{"a": ' + b"[" * 500 + b"]" * 500 + b', "event_type": "submission.status.change"}',
    b"[" * 30_000,
    b'{"a":' * 10_000,
    status_change("abc")[:-5],
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:40]))
def test_unreadable_event_is_kept_whole_and_starts_no_review(body: bytes) -> None:
    event = read_event("e", body)
    assert not event.readable
    assert not event.calls_for_review
    assert event.body == body


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_event_in_utf_16_or_utf_32_is_read(encoding: str) -> None:
    assert read_event("e", json.dumps(GOOD).encode(encoding)).submission_id == "abc"


def test_event_with_unknown_keys_and_escapes_is_read() -> None:
    body = json.dumps({**GOOD, "novelty": {"é": ["\u00fc", 1, None]}}).encode()
    assert read_event("e", body).readable


@given(st.binary(max_size=300))
def test_read_event_accepts_any_bytes(body: bytes) -> None:
    read_event("e", body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_read_event_accepts_any_json(value: object) -> None:
    read_event("e", json.dumps(value).encode())


def test_event_id_is_kept_unchanged() -> None:
    assert event_id(b"65f0-abc", b"1", b"body") == "65f0-abc"
    assert event_id(b"x" * 200, b"1", b"body") == "x" * 200


def test_missing_event_id_is_the_hash_of_timestamp_and_body() -> None:
    assert event_id(None, b"17", b"body") == sha256(b"17body").hexdigest()
    assert event_id(b"", b"17", b"body") == sha256(b"17body").hexdigest()


@pytest.mark.parametrize("header", [b"x" * 201, b"a\tb", b"a\x7fb"])
def test_event_id_that_cannot_be_stored_is_replaced_by_its_hash(header: bytes) -> None:
    assert event_id(header, b"17", b"body") == sha256(header).hexdigest()
