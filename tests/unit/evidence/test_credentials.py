"""Declared sources without a credential."""

from pathlib import Path

import pytest

from service.evidence.credentials import missing_credentials
from service.rules import load
from service.settings import Settings

PUSH = "from: push"
SIGNED = "from: push, signature: {header: X-Signature}"
BROWSER = 'from: push, cors: ["https://study.example.org"]'
SQL = "from: sql, query: 'SELECT 1 AS failed WHERE :submission_id IS NOT NULL'"
HTTP = 'from: http, url: "https://example.org/{submission.id}"'


@pytest.mark.parametrize(
    ("source", "given", "wanted"),
    [
        (PUSH, {}, "AUTOREVIEW_EVIDENCE_TOKEN"),
        (PUSH, {"AUTOREVIEW_EVIDENCE_TOKEN": "x"}, None),
        (PUSH, {"AUTOREVIEW_EVIDENCE_TOKEN_FILE": "token"}, None),
        (SIGNED, {"AUTOREVIEW_EVIDENCE_TOKEN": "x"}, "AUTOREVIEW_SOURCE_SURVEY"),
        (SIGNED, {"AUTOREVIEW_SOURCE_SURVEY": "x"}, None),
        (BROWSER, {}, None),
        (SQL, {}, "AUTOREVIEW_SOURCE_SURVEY"),
        (SQL, {"AUTOREVIEW_SOURCE_SURVEY_FILE": "url"}, None),
        (HTTP, {}, None),
    ],
)
def test_source_without_a_credential_is_reported_with_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, given: dict[str, str], wanted: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "a.yaml"
    evidence = f"evidence: {{survey: {{{source}, fields: {{failed: int}}}}}}\n"
    path.write_text(f"version: 1\nname: n\nstudies: all\n{evidence}", encoding="utf-8")
    found = list(missing_credentials(load(path).files, Settings()))
    assert [one.variable for one in found] == ([wanted] if wanted else [])
    assert all(one.source == "survey" for one in found)
