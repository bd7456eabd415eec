"""Declarations of `http`, `sql` and `csv` sources."""

from pathlib import Path

import pytest

from service.rules import check, load

URL = "url: 'https://a.org/{submission.id}'"
QUERY = "query: SELECT f FROM t WHERE s = :submission_id"

WRONG = [
    (f"http, {URL}, {QUERY}", "query:", "RUL005", "`query` is a key of `from: sql`"),
    ("push, retry_every: 1m", "retry_every", "RUL005", "`retry_every` is a key of `from: http`"),
    ("http, url: 'ftp://a/{submission.id}'", "'ftp", "RUL008", "must start with https://"),
    ("http, url: 'https://u:p@a/{submission.id}'", "'https", "RUL008", "AUTOREVIEW_SOURCE_<NAME>"),
    ("http, url: 'https://{submission.id}.org/'", "'https", "RUL008", "fills in the host"),
    ("http, url: 'https://a/{study.name}'", "'https", "RUL008", "{study.name} can't be filled in"),
    ("http, url: 'https://a/results'", "'https", "RUL008", "names no submission"),
    ("http, url: 'https://a/{submission.id'", "'https", "RUL008", "is no address"),
    (f"http, {URL}, map: {{f: 'a..b'}}", ".b'", "RUL008", "not a JMESPath expression"),
    ("sql, query: DELETE FROM t WHERE s = :submission_id", "DELETE", "RUL008", "only read"),
    ("sql, query: SELECT f FROM t WHERE s = :session", "SELECT", "RUL008", ":session is no parameter"),
    ("sql, query: SELECT f FROM t", "SELECT", "RUL008", "names no submission"),
    (f"sql, {QUERY}, map: {{f: g}}", "map", "RUL005", "`map` is a key of"),
    ("csv, file: ../a.csv", "../a", "RUL008", "below the rule file's folder"),
    ("csv, file: /etc/passwd", "/etc", "RUL008", "below the rule file's folder"),
    ("csv, file: 'C:\\a.csv'", "'C:", "RUL008", "below the rule file's folder"),
]
RIGHT = [
    f"http, {URL}, map: {{f: checks.failed}}, retry_every: 30s, wait: 1h",
    "http, url: 'http://127.0.0.1:8000/{submission.participant_id}?study={study.id}'",
    f"sql, {QUERY}",
    "sql, query: 'WITH r AS (SELECT s::text, f FROM t) SELECT f FROM r WHERE s = :submission_id'",
    "csv, file: exports/not_there_yet.csv, key: Session ID, map: {f: Failed checks (all)}",
]


def written(folder: Path, source: str) -> tuple[Path, str]:
    text = (
        "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]\n"
        f"evidence:\n  s: {{from: {source}, fields: {{f: int}}}}\notherwise: approve\n"
    )
    path = folder / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return path, text


@pytest.mark.parametrize(("source", "place", "code", "said"), WRONG)
def test_source_error_is_reported_at_its_position(
    tmp_path: Path, source: str, place: str, code: str, said: str
) -> None:
    path, text = written(tmp_path, source)
    [finding] = check(path)
    line = text.splitlines()[4]
    assert (finding.line, finding.column) == (5, line.index(place) + 1), finding
    assert finding.code == code
    assert said in finding.message


@pytest.mark.parametrize("source", RIGHT)
def test_valid_source_has_no_finding(tmp_path: Path, source: str) -> None:
    path, _ = written(tmp_path, source)
    assert check(path) == []
    assert load(path).files[0].evidence["s"].is_asked


def test_source_declaration_changes_with_each_key_that_affects_the_answer(tmp_path: Path) -> None:
    declared = {load(written(tmp_path, source)[0]).files[0].evidence["s"].declaration for source in RIGHT}
    assert len(declared) == len(RIGHT)
    path, text = written(tmp_path, RIGHT[2])
    before = load(path).files[0].evidence["s"].declaration
    path.write_text(text.replace("name: n", "name: other"), encoding="utf-8")
    assert load(path).files[0].evidence["s"].declaration == before
