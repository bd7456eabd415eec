"""Prolific's signature: the two vectors of the reference, and every way to get it wrong."""

import pytest

from service.intake.signature import is_signed, sign

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
def test_the_references_vectors_verify(body: bytes, expected: bytes) -> None:
    assert sign(SECRET, TIMESTAMP, body) == expected
    assert is_signed([SECRET], TIMESTAMP, body, expected)


def test_any_of_several_secrets_will_do() -> None:
    signature = sign("old", TIMESTAMP, SPACED)
    assert is_signed(["new", "old"], TIMESTAMP, SPACED, signature)
    assert not is_signed(["new", "newer"], TIMESTAMP, SPACED, signature)


@pytest.mark.parametrize(
    ("timestamp", "body", "signature"),
    [
        (TIMESTAMP, SPACED + b" ", sign(SECRET, TIMESTAMP, SPACED)),
        (b"1767225601", SPACED, sign(SECRET, TIMESTAMP, SPACED)),
        (None, SPACED, sign(SECRET, b"", SPACED)),
        (b"", SPACED, sign(SECRET, b"", SPACED)),
        (TIMESTAMP, SPACED, None),
        (TIMESTAMP, SPACED, b""),
        (TIMESTAMP, SPACED, b"\xff\xfe"),
    ],
)
def test_whatever_was_not_signed_so_is_refused(
    timestamp: bytes | None, body: bytes, signature: bytes | None
) -> None:
    assert not is_signed([SECRET], timestamp, body, signature)


def test_without_any_secret_nothing_is_signed() -> None:
    assert not is_signed([], TIMESTAMP, SPACED, sign("", TIMESTAMP, SPACED))
