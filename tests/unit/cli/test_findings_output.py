"""Printed findings: one line in a pipe, wrapped at words in a terminal, with the source line and a caret below."""

import re

import pytest
from rich.cells import cell_len

from service.cli.findings import excerpt, finding_lines, summary
from service.rules import Finding

FINDING = Finding(
    "rules/a.yaml",
    10,
    11,
    "POL007",
    "rules[0].when",
    "technical problems are no ground to reject; request_return, or complete with a partial payment",
    "warning",
    "rule ‘crashed’, when",
    "    when: evidence.survey.crashed",
)


def lines(finding: Finding, columns: int) -> list[str]:
    return [line.plain for line in finding_lines(finding, columns)]


def test_finding_names_place_code_severity_and_rule_and_shows_the_line() -> None:
    assert lines(FINDING, 10_000) == [
        (
            "rules/a.yaml:10:11: POL007 warning rule ‘crashed’, when: technical problems are no ground to reject; "
            "request_return, or complete with a partial payment"
        ),
        "    10 |     when: evidence.survey.crashed",
        "       |           ^",
    ]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_finding_breaks_no_word_in_a_terminal(columns: int) -> None:
    *message, source, caret = lines(FINDING, columns)
    assert " ".join(" ".join(message).split()) == str(FINDING)
    assert all(len(line) <= columns for line in [*message, source, caret])


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("place", [1, 3, 60, 200, 395, 400, 401])
@pytest.mark.parametrize("letter", ["x", "日", "é"])
def test_caret_stands_below_its_character_in_a_line_of_any_length(
    columns: int, place: int, letter: str
) -> None:
    source = letter * (place - 1) + "!" + letter * (400 - place)
    shown, caret = (line.plain for line in excerpt(source, 7, place, columns))
    assert cell_len(shown) <= max(columns, 40)
    assert caret.endswith("^")
    assert cell_len(shown.partition("!")[0]) == cell_len(caret) - 1


def test_caret_counts_a_tab_as_it_is_shown() -> None:
    shown, caret = (line.plain for line in excerpt("\tname:\tx", 3, 8, 80))
    assert (shown, caret.index("^")) == ("     3 |     name:    x", shown.index("x"))


def test_finding_prints_no_escape_sequence_of_a_source_line() -> None:
    shown, caret = (line.plain for line in excerpt("a\x1b[31m\u202eb!", 1, 8, 80))
    assert not re.search("[\x00-\x1f\u202e]", shown)
    assert caret.index("^") == shown.index("b!")


def test_finding_about_a_whole_file_shows_no_source_line() -> None:
    finding = Finding("rules", 1, 1, "RUL003", "", "the folder holds no rule file (*.yaml)")
    assert lines(finding, 80) == ["rules:1:1: RUL003 error the folder holds no rule file (*.yaml)"]


def test_summary_counts_files_rules_and_severities() -> None:
    error = Finding("a", 1, 1, "RUL003", "", "x")
    allowed = Finding("a", 1, 1, "POL003", "", "x", "allowed")
    assert summary(2, 9, [FINDING]) == "2 files, 9 rules: 1 warning"
    assert summary(1, 1, []) == "1 file, 1 rule: ok"
    assert summary(1, 1, [allowed]) == "1 file, 1 rule: ok, 1 allowed"
    assert (
        summary(1, 0, [error, FINDING, error, allowed]) == "1 file, 0 rules: 2 errors, 1 warning, 1 allowed"
    )
