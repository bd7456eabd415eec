"""Declarations of `push` sources, and errors with their positions."""

import pytest

from service.rules.evidence import Signature
from service.rules.facts import FieldType
from service.rules.file_reading import read_file
from service.rules.format.findings import Finding, Findings
from service.rules.rulefile import RuleFile

FILE = """version: 1
name: a
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {recaptcha: double, failed: int}
    wait: 30m
"""


def read(more: str) -> tuple[RuleFile | None, list[Finding]]:
    findings = Findings("a.yaml")
    file, _ = read_file("a.yaml", (FILE + more).encode(), findings)
    return file, list(findings.found)


def test_pushed_source_has_key_map_signature_and_origins() -> None:
    file, findings = read(
        """    key: hidden.SESSION_ID
    map: {recaptcha: Q_RecaptchaScore, participant_id: PROLIFIC_PID}
    signature: {header: Typeform-Signature, prefix: "sha256="}
    cors: ["https://study.example.org", "http://localhost:3000"]
"""
    )
    assert findings == []
    assert file
    source = file.evidence["survey"]
    assert source.fields == {"recaptcha": FieldType.DOUBLE, "failed": FieldType.INT}
    assert source.key == "hidden.SESSION_ID"
    assert source.map == {"recaptcha": "Q_RecaptchaScore", "participant_id": "PROLIFIC_PID"}
    assert source.signature == Signature("Typeform-Signature", "sha256=", "base64")
    assert source.cors == ("https://study.example.org", "http://localhost:3000")


@pytest.mark.parametrize(
    ("more", "line", "column", "named"),
    [
        ("    key: a.b.[\n", 9, 15, "not a JMESPath expression"),
        ("    key: ''\n", 9, 10, "empty"),
        ("    map: {failed: nofunction(a)}\n", 9, 19, "no function nofunction()"),
        (f"    map: {{failed: {'a' * 1001}}}\n", 9, 19, "1,000 characters at most"),
        ("    map: {faild: a}\n", 9, 11, "did you mean `failed`?"),
        ("    signature: {prefix: x}\n", 9, 16, "`header` is missing"),
        ("    signature: {header: a b}\n", 9, 25, "no name of an HTTP header"),
        ("    signature: {header: a, encoding: base32}\n", 9, 38, "base64, hex"),
        ("    cors: []\n", 9, 11, "empty"),
        ("    cors: ['*']\n", 9, 12, "is no origin"),
        ("    cors: ['https://a.org/page']\n", 9, 12, "is no origin"),
        ("    cors: ['https://a.org/']\n", 9, 12, "is no origin"),
        ("    cors: ['https://A.org']\n", 9, 12, "is no origin"),
        ("    cors: ['ftp://a.org']\n", 9, 12, "is no origin"),
        ("    cors: ['https://a.org:x']\n", 9, 12, "is no origin"),
    ],
)
def test_pushed_source_error_is_reported_at_its_position(
    more: str, line: int, column: int, named: str
) -> None:
    _, findings = read(more)
    assert [(found.line, found.column) for found in findings] == [(line, column)]
    assert named in findings[0].message
