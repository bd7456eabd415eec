"""All errors of a file are reported at once, with position and code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import RulesError
from service.rules import MEANINGS, Code, Finding, InvalidRules, check, load

HEAD = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {failed: int, gibberish: double, consented: bool, note: string}
"""

CheckText = Callable[[str], list[Finding]]

# HEAD has 7 lines: `when` of the first rule stands in line 10, its value in column 11.
WHEN_LINE, WHEN_COLUMN = 10, 11


def rule(when: str) -> str:
    return f"{HEAD}rules:\n  - name: first\n    when: {when}\n    approve:\n"


def top(text: str) -> str:
    return f"version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]\n{text}"


def action(text: str) -> str:
    """Return a file with the action in line 11, its key in column 5."""
    return f"{HEAD}rules:\n  - name: first\n    when: submission.pace > 1.0\n    {text}\n"


CONDITIONS = [
    ("submission.pac > 1.0", 11, "RUL012", "did you mean `submission.pace`?"),
    ("submision.pace > 1.0", 11, "RUL012", "did you mean `submission.pace`?"),
    ("pace > 1.0", 11, "RUL012", "did you mean `submission.pace`?"),
    (
        "submission.pace > 1.0 && evidence.survey.faild > 1",
        36,
        "RUL012",
        "did you mean `evidence.survey.failed`?",
    ),
    ("evidence.survy.failed > 1", 11, "RUL012", "no source survy is declared"),
    (
        "evidence.survey.zzz > 1",
        11,
        "RUL012",
        "evidence.survey has failed, gibberish, consented, note, received",
    ),
    ("submission.entered_code.startWith('a')", 35, "RUL012", "did you mean `startsWith`?"),
    ("nosuch(submission.pace)", 11, "RUL012", "no function is called nosuch"),
    ("submission.pace < 1", 27, "RUL013", "write 1.0"),
    ("2 < submission.pace", 13, "RUL013", "write 2.0"),
    ("submission.time_taken < 60.0", 33, "RUL013", "write 60"),
    ("submission.time_taken < 60.5", 33, "RUL013", "whole number"),
    ("submission.id == 3", 25, "RUL013", "string and int"),
    ("evidence.survey.failed == null", 34, "RUL013", "never null"),
    ("submission.pace", 11, "RUL013", "type double"),
    ("1", 11, "RUL013", "type int"),
    ("submission.reward = 3", 29, "RUL011", "write `==`"),
    ("evidence.survey.consented and true", 37, "RUL011", "write `&&`"),
    ("evidence.survey.consented or true", 37, "RUL011", "write `||`"),
    ("not evidence.survey.consented", 11, "RUL011", "write `!`"),
    ("evidence.survey.consented == True", 40, "RUL011", "write `true`"),
    ("submission.id == 'abc", 28, "RUL011", "quote"),
    ("submission.pace > 1.0 1.0", 33, "RUL011", "not a CEL condition"),
    ("(((((((((((((((((((((((((((((((((true)))))))))))))))))))))))))))))))))", 11, "RUL011", "recursion"),
    ("has(evidence.survey.failed)", 11, "RUL014", "evidence.<source>.received"),
    ("true || has (evidence.survey.failed)", 19, "RUL014", "evidence.<source>.received"),
    ("dyn(1) == 1", 11, "RUL014", "dyn()"),
    ("now - submission.completed_at > duration('1 day')", 52, "RUL015", "duration"),
    ("now > timestamp('soon')", 27, "RUL015", "time"),
    ("submission.id.matches('(')", 33, "RUL015", "regular expression"),
    ("matches(submission.id, '(')", 34, "RUL015", "regular expression"),
    ("now.getHours('Mars') > 3", 24, "RUL015", "timezone"),
    ("1 / 0 == 1", 11, "RUL015", "divide by zero"),
    ("stats.zz < -3.0", 11, "RUL012", "did you mean `stats.z`?"),
    ("stats.z < -3", 19, "RUL013", "write 3.0"),
    ("participant.reject > 1", 11, "RUL012", "did you mean `participant.rejected`?"),
    ("submission.time_taken * 60 < study.estimated_completion_time", 38, "RUL013", "double(…)"),
    ("submission.time_taken < study.estimated_completion_time * 60.0", 33, "RUL013", "double(…)"),
    ("submission.time_taken / 60.0 > 1.0", 33, "RUL013", "double(…)"),
    ("study.estimated_completion_time * 60 > 3.0", 43, "RUL013", "write 60.0"),
    ("submission.code_type == NONE", 35, "RUL012", 'a text goes in quotes: "NONE"'),
    ("submission.status is 'x'", 29, "RUL011", "write `==`"),
    ("evidence.survey.failed => 2", 34, "RUL011", "write `>=`"),
    ("evidence.survey.failed <> 2", 34, "RUL011", "write `!=`"),
    ("submission.pace < 0,5", 29, "RUL011", "write `0.5`"),
    ("submission.time_taken > 10m", 35, "RUL011", "write `600`"),
    ("now - submission.completed_at > 2d", 43, "RUL011", 'write `duration("48h")`'),
    ("now - submission.completed_at > 3600", 41, "RUL013", 'write duration("90m")'),
    ("submission.completed_at > '2026-01-01'", 35, "RUL013", "write timestamp("),
    ("evidence.survey.consented == 'true'", 37, "RUL013", "without quotes"),
    ("submission.pace in [1, 2]", 27, "RUL013", "with a point"),
]


@pytest.mark.parametrize(("when", "column", "code", "text"), CONDITIONS)
def test_condition_error_has_its_position(
    found: CheckText,
    when: str,
    column: int,
    code: str,
    text: str,
) -> None:
    [finding] = found(rule(when))
    assert (finding.line, finding.column, finding.code) == (WHEN_LINE, column, code)
    assert finding.path == "rules[0].when"
    assert text in finding.message


@pytest.mark.parametrize(
    ("when", "line", "column"),
    [
        ("'submission.id == ''x'' && submission.pac > 1.0'", 10, 38),
        (r'"submission.id == \"x\" && submission.pac > 1.0"', 10, 38),
        (r'"submission.id == \u0022x\" && submission.pac > 1.0"', 10, 42),
        ("submission.pace > 1.0\n      && submission.pac > 1.0", 11, 10),
        ("'submission.pace > 1.0\n\n      && submission.pac > 1.0'", 12, 10),
        ("|\n      submission.pace > 1.0 &&\n        submission.pac > 1.0", 12, 9),
        (">-\n      submission.pace > 1.0 &&\n      submission.pac > 1.0", 12, 7),
        (">\n      submission.pace > 1.0\n\n      &&\n      submission.pac > 1.0", 14, 7),
        ("&anchor submission.pac > 1.0", 10, 19),
        ("!!str submission.pac > 1.0", 10, 17),
        ("submission.id == 'äöü😀' && submission.pac > 1.0", 10, 38),
    ],
)
def test_condition_error_has_its_position_in_every_kind_of_scalar(
    found: CheckText, when: str, line: int, column: int
) -> None:
    [finding] = found(rule(when))
    assert (finding.line, finding.column) == (line, column)
    assert "submission.pac;" in finding.message


def test_condition_error_has_its_position_with_windows_line_ends(found: CheckText) -> None:
    [finding] = found(
        rule("|\n      submission.pace > 1.0 &&\n      submission.pac > 1.0").replace("\n", "\r\n")
    )
    assert (finding.line, finding.column) == (12, 7)


def test_function_names_inside_a_literal_are_no_calls(found: CheckText) -> None:
    assert found(rule("""submission.entered_code != "has(x) dyn(y) and = or" // has(z)""")) == []


STRUCTURE = [
    ("", 1, 1, "RUL003", "empty"),
    ("# nothing\n", 1, 1, "RUL003", "empty"),
    ("---\n...\n", 1, 1, "RUL003", "empty"),
    ("[1, 2]\n", 1, 1, "RUL007", "must be a mapping"),
    ("a: 1\n---\nb: 1\n", 2, 1, "RUL002", "one document"),
    ("version: 1\nname: 'x\n", 2, 7, "RUL002", "never closed"),
    ("version: 1\nname:\n\t- x\n", 3, 1, "RUL002", "tab"),
    ("version: 1\nname: a: b\n", 2, 8, "RUL002", "quote the line"),
    ("version: 1\nname: {a} b\n", 2, 11, "RUL002", "name: '{a} b'"),
    (rule("'A' == submission.id"), 10, 15, "RUL002", "A'' == submission.id'"),
    (rule("!evidence.survey.consented"), 10, 11, "RUL002", "when: '!evidence.survey.consented'"),
    (
        rule("true").replace("approve:", "hold: It is wrong: look"),
        11,
        22,
        "RUL002",
        "hold: 'It is wrong: look'",
    ),
    ("version: 1\nname: a\x07\n", 2, 8, "RUL002", "U+0007"),
    ("version: 1\nname: \udcff\n", 2, 7, "RUL001", "UTF-8"),
    ("version: 1\nname: !go x\n", 2, 7, "RUL002", "tags"),
    ("version: 1\nname: *x\n", 2, 7, "RUL002", "&x"),
    ("name: &x [*x]\n", 1, 11, "RUL002", "&x"),
    ("? [a]\n: b\n", 1, 3, "RUL002", "key"),
    ("[" * 500_000, 1, 33, "RUL002", "nested deeper"),
    (top("name: again\n"), 4, 1, "RUL004", "twice"),
    (
        top("tests:\n  - name: n\n    expect: {outcome: hold, outcome: hold}\n"),
        6,
        29,
        "RUL004",
        "`outcome` stands twice, first in line 6",
    ),
    (top("rulez: []\n"), 4, 1, "RUL005", "did you mean `rules`?"),
    ("version: 1\nname: n\n", 1, 1, "RUL006", "`studies` is missing"),
    ("version: 2\nname: n\nstudies: all\n", 1, 10, "RUL008", "must be 1"),
    ("version: 1.0\nname: n\nstudies: all\n", 1, 10, "RUL008", "must be 1"),
    ("version: '1'\nname: n\nstudies: all\n", 1, 10, "RUL008", "must be 1"),
    ("version: 1\nname: ''\nstudies: all\n", 2, 7, "RUL003", "empty text"),
    ("version: 1\nname: n\nstudies: []\n", 3, 10, "RUL003", "empty list"),
    ("version: 1\nname: n\nstudies: 60aca280709ee40ec37d4885\n", 3, 10, "RUL007", "a list of ids"),
    ("version: 1\nname: n\nstudies: [all]\n", 3, 11, "RUL008", "studies: all"),
    (
        "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885, 60aca280709ee40ec37d4885]\n",
        3,
        37,
        "RUL008",
        "twice",
    ),
    ("version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885, null]\n", 3, 37, "RUL007", "must be a text"),
    (top("mode: lief\n"), 4, 7, "RUL008", "did you mean `live`?"),
    (top("otherwise: reject\n"), 4, 12, "RUL008", "approve, hold"),
    (top("hold_at_most: soon\n"), 4, 15, "RUL008", "write it like 30m, 12h, 7d or 1h30m"),
    (top("hold_at_most: 72\n"), 4, 15, "RUL008", "`72` is no duration"),
    (top("hold_at_most: 0h\n"), 4, 15, "RUL008", "above zero"),
    (top("hold_at_most: 59s\n"), 4, 15, "RUL008", "a minute or more"),
    (top("hold_at_most:\n"), 4, 14, "RUL007", "must be a text"),
    (top("hold_at_most: {hours: 72}\n"), 4, 15, "RUL007", "not a mapping"),
    (top("hold_at_mots: 72h\n"), 4, 1, "RUL005", "did you mean `hold_at_most`?"),
    (top("rules:\n"), 4, 7, "RUL007", "a list of rules"),
    (top("evidence: {Survey: {from: push, fields: {a: int}}}\n"), 4, 12, "RUL008", "a-z"),
    (top("evidence: {in: {from: push, fields: {a: int}}}\n"), 4, 12, "RUL008", "word of CEL"),
    (top("evidence: {s: {from: push, fields: {received: int}}}\n"), 4, 37, "RUL008", "has answered"),
    (top("evidence: {s: {from: push, fields: {a: integer}}}\n"), 4, 40, "RUL008", "did you mean `int`?"),
    (top("evidence: {s: {from: push, fields: {}}}\n"), 4, 36, "RUL003", "no field"),
    (top("evidence: {s: {fields: {a: int}}}\n"), 4, 15, "RUL006", "`from` is missing"),
    (top("evidence: {s: {from: push}}\n"), 4, 15, "RUL006", "`fields` is missing"),
    (
        top("evidence: {s: {from: http, fields: {f: int}}}\n"),
        4,
        15,
        "RUL006",
        "`url` is missing: `from: http`",
    ),
    (top("evidence: {s: {from: sql, fields: {f: int}}}\n"), 4, 15, "RUL006", "`query` is missing"),
    (top("evidence: {s: {from: csv, fields: {f: int}}}\n"), 4, 15, "RUL006", "`file` is missing"),
    (top("evidence: {s: {from: push, fields: {a: int}, wait: soon}}\n"), 4, 52, "RUL008", "30m"),
    (top("limits: {request_return: {per_day: -1}}\n"), 4, 36, "RUL008", "0 or more"),
    (top("limits: {request_return: {per_day: true}}\n"), 4, 36, "RUL007", "a whole number, not true"),
    (
        top("limits: {request_return: {per_day: 2.5}}\n"),
        4,
        36,
        "RUL007",
        "a whole number, not the number 2.5",
    ),
    (top("limits: {request_return: {per_dya: 3}}\n"), 4, 27, "RUL005", "did you mean `per_day`?"),
    (top("limits: {request_return: 3}\n"), 4, 26, "RUL007", "must be a mapping"),
    (top("limits: {approve: {reward_per_day: -1}}\n"), 4, 36, "RUL008", "0 or more"),
    (top("limits: {approve: {reward_per_day: false}}\n"), 4, 36, "RUL007", "a whole number of minor units"),
    (top("limits: {approve: {reward_per_day: 500.00}}\n"), 4, 36, "RUL007", "50000 is 500.00"),
    (top("limits: {approve: {reward_per_day: null}}\n"), 4, 36, "RUL007", "not nothing"),
    (top("limits: {approve: {per_day: 3}}\n"), 4, 20, "RUL005", "did you mean `reward_per_day`?"),
    (top("limits: {requst_return: {per_day: 3}}\n"), 4, 10, "RUL005", "did you mean `request_return`?"),
    (top("limits: {reject: {share: 0.1}}\n"), 4, 26, "RUL008", "`10%`"),
    (top("limits: {reject: {share: 101%}}\n"), 4, 26, "RUL008", "100%"),
    (top("limits: {reject: {of_last: 0}}\n"), 4, 28, "RUL008", "1 or more"),
    (top("limits: {reject: {per_day: -1}}\n"), 4, 28, "RUL008", "0 or more"),
    (top("limits: {reject: {per_day: true}}\n"), 4, 28, "RUL007", "a whole number"),
    (
        top("tests:\n  - {name: n, expect: {rule: null}, give: {}}\n"),
        5,
        37,
        "RUL005",
        "did you mean `given`?",
    ),
    (top("tests:\n  - {name: n, expect: hold}\n"), 5, 23, "RUL007", "must be a mapping"),
    (rule("yes"), 10, 11, "RUL012", "no fact is called yes"),
    (rule(""), 10, 10, "RUL007", "must be a condition"),
    (rule("{}"), 10, 11, "RUL003", "all, any or none"),
    (rule("{all: []}"), 10, 17, "RUL003", "empty list"),
    (rule("{any: []}"), 10, 17, "RUL003", "empty list"),
    (rule("{none: []}"), 10, 18, "RUL003", "empty list"),
    (rule("{al: ['true']}"), 10, 12, "RUL005", "did you mean `all`?"),
    (rule("{all: ['true'], any: ['true']}"), 10, 11, "RUL008", "not all and any together"),
    (f"{HEAD}rules:\n  - name: n\n    approve:\n", 9, 5, "RUL006", "`when` is missing"),
    (f"{HEAD}rules:\n  - when: true\n    approve:\n", 9, 5, "RUL006", "`name` is missing"),
    (f"{HEAD}rules:\n  - name: n\n    when: true\n", 9, 5, "RUL018", "no action"),
    (action("hold: x\n    approve:"), 12, 5, "RUL018", "hold and approve"),
    (action("approve: {now: 1}"), 11, 15, "RUL005", "no key `now`"),
    (action("approve: yes"), 11, 14, "RUL007", "nothing follows the colon"),
    (action("hold:"), 11, 10, "RUL007", "must be a text"),
    (action("hold: {now}"), 11, 11, "RUL007", "not a mapping"),
    (action("hold: 'at {nwo}'"), 11, 11, "RUL016", "did you mean `now`?"),
    (action("hold: 'at {stats.zz}'"), 11, 11, "RUL016", "did you mean `stats.z`?"),
    (action("hold: 'at { now'"), 11, 11, "RUL016", "a brace stands alone"),
    (action("reject: {category: FAILED_CHECK}"), 11, 13, "RUL006", "`message` is missing"),
    (
        action(f"reject: {{category: FAILED_CHEK, message: {'x' * 100}}}"),
        11,
        24,
        "RUL008",
        "did you mean `FAILED_CHECK`?",
    ),
    (
        action(f"reject: {{category: OTHER, message: {'x' * 99}}}"),
        11,
        40,
        "RUL017",
        "without what is filled in these are 99",
    ),
    (action(f"reject: {{category: OTHER, message: '{'x' * 99}{{now}}   '}}"), 11, 40, "RUL017", "99"),
    (action("request_return: {reasons: []}"), 11, 31, "RUL003", "empty list"),
    (action("request_return: {reasons: [a, '']}"), 11, 35, "RUL003", "empty text"),
    (action("complete: {percentage_of_reward: 50}"), 11, 15, "RUL006", "code_type or code"),
    (action("complete: {code: A, code_type: B}"), 11, 15, "RUL008", "one of them"),
    (action("complete: {code: A, percentage_of_reward: 7.9}"), 11, 47, "RUL008", "from 8 to 99"),
    (action("complete: {code: A, percentage_of_reward: .nan}"), 11, 47, "RUL007", "a number"),
    (action("approve:\n    recheck_after: 0h"), 12, 20, "RUL008", "above zero"),
    (action("approve:\n    recheck_after: -1h"), 12, 20, "RUL008", "above zero"),
    (action("approve:\n    if_unknown: skip"), 12, 5, "RUL008", "only a reject or request_return"),
    (action("request_return: {reasons: [a]}\n    if_unknown: hold"), 12, 17, "RUL008", "none of skip"),
    (action("approve:\n    observe: yes"), 12, 14, "RUL007", "true or false, not the text `yes`"),
    (action("approve:\n    observe:"), 12, 13, "RUL007", "true or false, not nothing"),
    (action("approve:\n    obsreve: true"), 12, 5, "RUL005", "did you mean `observe`?"),
    (
        f"{HEAD}rules:\n  - name: n\n    when: now > submission.started_at\n    observe: true\n",
        9,
        5,
        "RUL018",
        "no action",
    ),
    (action("approve:\n    allow: [POL003]"), 12, 5, "RUL006", "`because` is missing"),
    (action("approve:\n    because: x"), 12, 5, "RUL006", "`allow` is missing"),
    (action("approve:\n    allow: [POL03]\n    because: x"), 12, 13, "RUL008", "did you mean `POL0"),
    (action("approve:\n    allow: []\n    because: x"), 12, 12, "RUL003", "an empty list"),
    (action("approve:\n    allow: [POL003]\n    because: ''"), 13, 14, "RUL003", "an empty text"),
    (
        action("approve:\n  - name: first\n    when: now > submission.started_at\n    approve:"),
        12,
        11,
        "RUL019",
        "line 9",
    ),
    (
        rule("true") + "  - name: b\n    when: now > submission.started_at\n    approve:\n",
        12,
        5,
        "RUL020",
        "‘first’",
    ),
]


@pytest.mark.parametrize(("text", "line", "column", "code", "said"), STRUCTURE)
def test_rule_file_error_has_its_position(
    found: CheckText,
    text: str,
    line: int,
    column: int,
    code: str,
    said: str,
) -> None:
    [finding] = found(text)
    assert (finding.line, finding.column, finding.code) == (line, column, code), str(finding)
    assert said in finding.message


def test_exponential_yaml_aliases_are_refused(found: CheckText) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    [finding] = found("\n".join(lines))
    assert finding.code == Code.SYNTAX
    assert "too many nodes" in finding.message


def test_file_over_1_mib_is_refused(found: CheckText) -> None:
    [finding] = found("# " + "x" * 1024 * 1024)
    assert str(finding).endswith("a.yaml:1:1: RUL001 error is larger than 1 MiB")


def test_all_errors_are_reported_in_line_order(found: CheckText) -> None:
    text = top(
        "mode: off\nrules:\n  - name: a\n    when: submission.pac > 1.0 || stdy.id == ''\n    aprove:\n"
    )
    findings = found(text)
    assert [(finding.line, finding.code) for finding in findings] == [
        (4, "RUL008"),
        (6, "RUL018"),
        (7, "RUL012"),
        (7, "RUL012"),
        (8, "RUL005"),
    ]
    assert findings == found(text)


def test_declaration_error_is_reported_once(found: CheckText) -> None:
    text = top(
        "evidence: {s: {from: push, fields: {a: itn}}}\nrules:\n  - {name: n, when: evidence.s.a > 3, approve: }\n"
    )
    assert [finding.code for finding in found(text)] == ["RUL008"]


def test_invalid_rules_error_has_one_line_per_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(rule("submission.pac > 1.0"), encoding="utf-8")
    with pytest.raises(InvalidRules) as caught:
        load(path)
    assert isinstance(caught.value, RulesError)
    assert str(caught.value) == (
        f"{path}:10:11: RUL012 error rule ‘first’, when: no fact is called submission.pac; did you mean `submission.pace`?"
    )
    assert caught.value.findings == check(path)


def test_finding_as_json_has_all_its_fields(found: CheckText) -> None:
    [finding] = found("")
    assert finding.as_json() == {
        "file": finding.file,
        "line": 1,
        "column": 1,
        "code": "RUL003",
        "path": "",
        "message": "the file is empty",
        "severity": "error",
        "subject": "",
        "source": "",
    }


def test_every_finding_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Code)
