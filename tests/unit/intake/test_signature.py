"""The signature of Prolific: two known vectors, and invalid signatures."""

import pytest

from service.intake.signature import MAX_REWRITTEN, Form, sign, signed_form

SECRET = "s3cr3t-example-value"
TIMESTAMP = b"1767225600"
SPACED = (
    b'{"resource_id": "65f0000000000000000000aa", "event_type": "submission.status.change", '
    b'"participant_id": "65f0000000000000000000bb", "status": "AWAITING REVIEW"}'
)
COMPACT = SPACED.replace(b'": "', b'":"').replace(b'", "', b'","')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (SPACED, b"rORU4Nkn7k1P7ujJkZxz8jIdMq3iisRqFqAFEGqJjwc="),
        (COMPACT, b"8d7TfNc0ahn1DG2ZokdqM/MBnoPgJCMgr4WuLNL7Zq4="),
    ],
)
def test_signature_of_the_reference_vectors_is_valid(body: bytes, expected: bytes) -> None:
    assert sign(SECRET, TIMESTAMP, body) == expected
    assert signed_form([SECRET], TIMESTAMP, body, expected) is Form.RAW


def test_signature_accepts_any_configured_secret() -> None:
    signature = sign("old", TIMESTAMP, SPACED)
    assert signed_form(["new", "old"], TIMESTAMP, SPACED, signature) is Form.RAW
    assert not signed_form(["new", "newer"], TIMESTAMP, SPACED, signature)


@pytest.mark.parametrize(
    ("timestamp", "body", "signature"),
    [
        (TIMESTAMP, SPACED[:-1] + b', "more": 1}', sign(SECRET, TIMESTAMP, SPACED)),
        (TIMESTAMP, SPACED[:-1], sign(SECRET, TIMESTAMP, SPACED)),
        (TIMESTAMP, b"[" * 100_000, sign(SECRET, TIMESTAMP, SPACED)),
        (b"1767225601", SPACED, sign(SECRET, TIMESTAMP, SPACED)),
        (None, SPACED, sign(SECRET, b"", SPACED)),
        (b"", SPACED, sign(SECRET, b"", SPACED)),
        (TIMESTAMP, SPACED, None),
        (TIMESTAMP, SPACED, b""),
        (TIMESTAMP, SPACED, b"\xff\xfe"),
    ],
)
def test_wrong_signature_is_refused(timestamp: bytes | None, body: bytes, signature: bytes | None) -> None:
    assert not signed_form([SECRET], timestamp, body, signature)


def test_signature_is_invalid_without_a_configured_secret() -> None:
    assert not signed_form([], TIMESTAMP, SPACED, sign("", TIMESTAMP, SPACED))


@pytest.mark.parametrize(
    ("sent", "signed", "form"),
    [
        (COMPACT, SPACED, Form.SPACED),
        (SPACED, COMPACT, Form.COMPACT),
        (SPACED + b"\n", SPACED, Form.SPACED),
        (b'{"a": "\\u00e4"}', '{"a":"\u00e4"}'.encode(), Form.COMPACT),
        ('{"a": "\u00e4"}'.encode(), b'{"a": "\\u00e4"}', Form.SPACED),
        (b'{"a": "\\ud800"}', b'{"a":"\\ud800"}', Form.COMPACT),
    ],
)
def test_signature_of_a_reformatted_body_is_valid_and_returns_the_signed_form(
    sent: bytes, signed: bytes, form: Form
) -> None:
    assert signed_form(["other", SECRET], TIMESTAMP, sent, sign(SECRET, TIMESTAMP, signed)) is form


def test_signature_check_does_not_reformat_a_large_body() -> None:
    """Formatting 64 KiB again takes milliseconds, which an unsigned request must not cost."""
    for padding, form in ((MAX_REWRITTEN - 100, Form.COMPACT), (MAX_REWRITTEN, None)):
        sent = b'{"a": "' + b"x" * padding + b'"}'
        signature = sign(SECRET, TIMESTAMP, sent.replace(b": ", b":"))
        assert signed_form([SECRET], TIMESTAMP, sent, signature) is form
        assert signed_form([SECRET], TIMESTAMP, sent, sign(SECRET, TIMESTAMP, sent)) is Form.RAW
