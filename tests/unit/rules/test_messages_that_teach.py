"""Common mistakes in rule files, and the correction in the finding."""

from collections.abc import Callable

import pytest

from service.rules import Finding

CheckText = Callable[[str], list[Finding]]

HEAD = """\
version: 1
name: A study
studies: [60aca280709ee40ec37d4885]
evidence:
  survey:
    from: push
    fields: {failed: int, share: double, consented: bool, note: string}
"""
ITEM = "  - name: first\n"
WHEN = "    when: submission.pace > 1.0\n"
LONG = "x" * 100


def conditions(*lines: str) -> str:
    """Return a rule with these lines below `when`."""
    below = "".join(f"      {line}\n" for line in lines)
    return f"{HEAD}rules:\n{ITEM}    when:\n{below}    approve:\n"


def condition(when: str) -> str:
    return f"{HEAD}rules:\n{ITEM}    when: {when}\n    approve:\n"


def action(text: str) -> str:
    return f"{HEAD}rules:\n{ITEM}{WHEN}    {text}\n"


def reject(category: str) -> str:
    return action(f"reject: {{category: {category}, message: {LONG}}}")


def case(text: str) -> str:
    return f"{HEAD}tests:\n  - name: t\n    {text}\n"


CONDITIONS = [
    ("submission.code_type == “NONE”", 'write `"NONE"`'),
    ("submission.code_type == „NONE“", 'write `"NONE"`'),
    ("submission.code_type == ‘NONE’", 'write `"NONE"`'),
    ("submission.code_type == «NONE»", 'write `"NONE"`'),
    ('submission.code_type == "NONE”', 'write `"`'),
    ("submission.pace ≥ 2.0", "write `>=`"),
    ("submission.pace ≤ 2.0", "write `<=`"),
    ("submission.pace ≠ 2.0", "write `!=`"),
    ("submission.pace ＞ 2.0", "write `>`"),
    ("stats.z < –3.0", "write `-`"),
    ("stats.z < −3.0", "write `-`"),
    ("submission.pace × 2.0 > 3.0", "write `*`"),
    ("submission.pace\u00a0> 2.0", "no-break space"),
    ("submission.pace\u200b > 2.0", "invisible character"),
    ("evidence.survey.share > 80%", "write `0.8`"),
    ("evidence.survey.share > 80 % && true", "write `0.8`"),
    ("evidence.survey.share > 12.5%", "write `0.125`"),
    ("evidence.survey.consented == no", "write `false`"),
    ("evidence.survey.consented == yes", "write `true`"),
    ("Yes == evidence.survey.consented", "write `true`"),
    ("evidence.survey.note == yes", 'a text goes in quotes: "yes"'),
    ('evidence.survey.consented == "true"', "without quotes"),
    ("2 < evidence.survey.failed < 5", "write `2 < evidence.survey.failed && evidence.survey.failed < 5`"),
    ("true && 2.0 <= submission.pace <= 5.0", "write `2.0 <= submission.pace && submission.pace <= 5.0`"),
    ("submission.pace between 1 and 2", "write `submission.pace >= 1 && submission.pace <= 2`"),
    ("submission.pace > 1.0 AND submission.pace < 2.0", "write `&&`"),
    ("submission.pace > 1.0 Or submission.pace < 2.0", "write `||`"),
    ("NOT evidence.survey.consented", "write `!`"),
    ("submission.pace > 1.0 & submission.pace < 2.0", "write `&&`"),
    ('submission.code_type = "NONE"', "write `==`"),
    ('submission.code_type === "NONE"', "write `==`"),
    ('submission.code_type !== "NONE"', "write `!=`"),
    ('submission.code_type is not "NONE"', "write `!=`"),
    ('submission.code_type not in ["NONE"]', "write `!(… in […])`"),
    ('submission.code_type in "NONE", "UNKNOWN"', 'write `in ["NONE", "UNKNOWN"]`'),
    ('evidence.survey.note contains "x"', 'write `evidence.survey.note.contains("x")`'),
    ("submission.pace > 2,5", "write `2.5`"),
    ("submission.time_taken > 1,000", "write `1000`, or `1.000`"),
    ("submission.time_taken < 60s", "write `60`"),
    ("submission.time_taken < 5 minutes", "write `300`"),
    ("study.estimated_completion_time < 120 s", "write `2.0`"),
    ("now - submission.completed_at > 2 days", 'write `duration("48h")`'),
    ("submission.completed_at > 2026-01-01", 'timestamp("2026-01-31T09:00:00Z")'),
    ("submission.entered_code == null", 'submission.code_type == "NONE"'),
    ("submission.entered_code == None", 'submission.code_type == "NONE"'),
    ("evidence.survey.failed == None", "evidence.<source>.received"),
    ("exists(evidence.survey.failed)", "evidence.<source>.received"),
    ("len(evidence.survey.note) > 3", "write `size(…)`"),
    ("evidence.survey.note.length > 3", "write `.size()`"),
    ('evidence.survey.note.lower() == "x"', "(?i)"),
    ("evidence.survey.attention-failed > 1", "names have `_`"),
    ("if submission.pace > 1.0 then true", "no `if`"),
    ("submission.pace > 1.0;", "take it out"),
    ("(submission.pace > 1.0 && true", "`)` is missing"),
    ("submission.pace > 1.0) && true", "`)` closes nothing"),
    ("submission.pace >", "a value is missing"),
    ('submission.code_type == "NONE', "a quote is never closed"),
    ("Submission.Pace > 1.0", "did you mean `submission.pace`?"),
]


@pytest.mark.parametrize(("when", "expected"), CONDITIONS)
def test_condition_of_another_language_is_reported_with_its_cel_form(
    found: CheckText, when: str, expected: str
) -> None:
    quote = when.replace("'", "''")
    [finding] = found(condition(f"'{quote}'"))
    assert expected in finding.message
    assert (finding.line, finding.subject) == (10, "rule ‘first’, when")


YAML = [
    (f"{HEAD}rules:\n{ITEM}   when: true\n    approve:\n", 10, "indent it by 1 space more"),
    (f"{HEAD}rules:\n{ITEM}{WHEN}   approve:\n", 11, "indent it by 1 space more"),
    (f"{HEAD}rules:\n{ITEM}     when: true\n    approve:\n", 10, "indent it by 1 space fewer"),
    (
        "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885\nrules: []\n",
        3,
        "bracket `[` is never closed: `]` is missing",
    ),
    (HEAD.replace("string}", "string") + "rules: []\n", 7, "bracket `{` is never closed: `}` is missing"),
    ("version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]]\n", 3, "bracket `]` closes nothing"),
    (f"{HEAD}rules:\n  -name: first\n{WHEN}    approve:\n", 9, "a space is missing after `-`"),
    (f"{HEAD}rules:\n  - name:first\n{WHEN}    approve:\n", 9, "a space is missing after `name:`"),
    (f"{HEAD}rules:\n{ITEM}    when:true\n    approve:\n", 10, "a space is missing after `when:`"),
    (f"{HEAD}rules:\n{ITEM}    when true\n    approve:\n", 10, "write `when: true`"),
    (f"{HEAD}rules:\n{ITEM}{WHEN}    approve\n", 11, "write `approve:`"),
    (f"{HEAD}rules:\n{ITEM}\twhen: true\n    approve:\n", 10, "a tab can't indent"),
    (f"{HEAD}rules:\n{ITEM}{WHEN}\tapprove:\n".replace("\n", "\r\n"), 11, "a tab can't indent"),
    (f"\ufeff{HEAD}rules:\n{ITEM}   when: true\n", 10, "indent it by 1 space more"),
    (action("hold: 'it's wrong'"), 11, "hold: 'it''s wrong'"),
    (action("hold: {now} is late"), 11, "hold: '{now} is late'"),
    (action("hold: @someone"), 11, "can't start with `@`"),
    (action("hold: *important*"), 11, "can't start with `*`"),
    (action('hold: "\\d"'), 11, "single quotes"),
    (action("hold: Look: here"), 11, "hold: 'Look: here'"),
]


@pytest.mark.parametrize(("text", "line", "expected"), YAML)
def test_invalid_yaml_is_reported_with_its_correction(
    found: CheckText, text: str, line: int, expected: str
) -> None:
    [finding] = found(text)
    assert (finding.line, finding.code) == (line, "RUL002")
    assert expected in finding.message


STRUCTURE = [
    (conditions("and:", "  - 'true'"), "write `all:`"),
    (conditions("or:", "  - 'true'"), "write `any:`"),
    (conditions("not:", "  - 'true'"), "write `none:`"),
    (condition("{AND: ['true']}"), "write `all:`"),
    (condition("{Or: ['true']}"), "write `any:`"),
    (condition("{not: 'true'}"), "write `none:`"),
    (condition("{every: ['true']}"), "write `all:`"),
    (condition("{some: ['true']}"), "write `any:`"),
    (condition("{neither: ['true']}"), "write `none:`"),
    (condition("{all: 'true'}"), "must be a list of conditions"),
    (conditions("- 'true'", "- 'true'"), "write `all:` above the list"),
    (conditions("all:", "  - any: ['true']"), "nesting is not supported"),
    (action("approve: true"), "nothing follows the colon"),
    (action("reject: You failed."), "write `category:` and `message:` below it"),
    (action("request_return: Please return."), 'write `request_return: {reasons: ["Please return."]}`'),
    (action("request_return: {reasons: Please return.}"), 'write `reasons: ["Please return."]`'),
    (action("complete: PARTIAL"), "write `complete: {code_type: PARTIAL}`"),
    (action("complete: {code: X, percentage_of_reward: 50%}"), "write `50`"),
    (action("hold: {now}"), "a text that starts with `{` goes in quotes"),
    (action("approve:\n    observe: yes"), "write `true`"),
    (reject("failed_check"), "must be written `FAILED_CHECK`"),
    (reject("Failed check"), "must be written `FAILED_CHECK`"),
    (reject("FAILED-CHECK"), "must be written `FAILED_CHECK`"),
    (f"{HEAD}mode: Live\n", "must be written `live`"),
    (f"{HEAD}mode: approve_only\n", "must be written `approve-only`"),
    (f"{HEAD}hold_at_most: 3 days\n", "write `3d`"),
    (f"{HEAD}hold_at_most: 72\n", "`72h` for hours"),
    (f"{HEAD}otherwise: reject\n", "never refused because no rule matched"),
    (f"{HEAD}limits: {{reject: 20}}\n", "such as `per_day: 20`"),
    (f"{HEAD}limits: {{reject: {{share: 0.25}}}}\n", "`25%`"),
    (f"{HEAD}rules:\n  first: {{when: true, approve: }}\n", "write `- name: …`"),
    (
        HEAD.replace("[60aca280709ee40ec37d4885]", "60aca280709ee40ec37d4885, 61b0f1c9a5d3e24c7f8a1b02"),
        "write `studies: [60aca280709ee40ec37d4885, 61b0f1c9a5d3e24c7f8a1b02]`",
    ),
    (HEAD.replace("version: 1", "version: '1'"), "without quotes"),
    (HEAD.replace("failed: int", "failed: number"), "did you mean `double`?"),
    (HEAD.replace("failed: int", "failed: text"), "did you mean `string`?"),
    (
        HEAD.replace("{failed: int, share: double, consented: bool, note: string}", "[a, b]"),
        "attention_failed: int",
    ),
    (case("given: {submission.pace: 2.0}\n    expect: {rule: null}"), "write `submission: {pace: …}`"),
    (case("given: {pace: 2.0}\n    expect: {rule: null}"), "write `submission: {pace: …}`"),
    (case("given: {survey: {failed: 2}}\n    expect: {rule: null}"), "write `evidence: {survey: …}`"),
    (case("given: {submission: {pace: 2,5}}\n    expect: {rule: null}"), "write `2.5`, not `2,5`"),
    (case("given: {submission: {pace: '2.0'}}\n    expect: {rule: null}"), "write `2.0`"),
    (case("given: {evidence: {survey: {consented: no}}}\n    expect: {rule: null}"), "write `false`"),
    (case("expect: approve"), "write `expect: {outcome: approve}`"),
]


@pytest.mark.parametrize(("text", "expected"), STRUCTURE)
def test_wrong_key_or_value_is_reported_with_the_valid_one(
    found: CheckText, text: str, expected: str
) -> None:
    [finding] = found(text)
    assert expected in finding.message


def test_misplaced_keys_of_a_rejection_are_reported_with_the_right_place(found: CheckText) -> None:
    findings = found(action(f"reject:\n    category: OTHER\n    message: {LONG}"))
    assert [finding.message.partition(": ")[2] for finding in findings[1:]] == [
        "it belongs below `reject:`, indented further"
    ] * 2


@pytest.mark.parametrize("key", ["and", "AND", "&&", "every", "each", "both"])
def test_word_for_all_never_suggests_any(found: CheckText, key: str) -> None:
    [finding] = found(condition(f"{{'{key}': ['true']}}"))
    assert "`any" not in finding.message


def test_file_in_utf_16_is_reported_as_utf_16(found: CheckText) -> None:
    [finding] = found(HEAD.encode("utf-16").decode("utf-8", "surrogateescape"))
    assert finding.message == "UTF-16: save the file as UTF-8"
