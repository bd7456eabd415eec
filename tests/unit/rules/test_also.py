"""The `also` block of a rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.rules import check, load
from service.rules.cases.case import Case

HEAD = "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]\nrules:\n"
WRONG = [
    ("hold: look", "message: Hello.", "RUL008", "put `also` into the rules that decide"),
    ("approve:", "message: 'Hello {submission.nam}.'", "RUL016", "submission.nam"),
    ("approve:", "messag: Hello.", "RUL005", "did you mean `message`"),
    ("approve:", "add_to_group: a b", "RUL008", "no spaces"),
    ("approve:", "add_to_group: a, remove_from_group: a", "RUL008", "adds to the group"),
    ("approve:", "", "RUL003", "names nothing to do"),
]


def written(folder: Path, action: str, also: str) -> Path:
    path = folder / "a.yaml"
    text = f"{HEAD}  - name: r\n    when: submission.pace > 0.0\n    {action}\n    also: {{{also}}}\n"
    path.write_text(text, encoding="utf-8")
    return path


def facts(given: Mapping[str, Any]) -> Any:
    return Case("", 1, given, frozenset(), None, {}).facts((), "s1")


@pytest.mark.parametrize(("action", "also", "code", "said"), WRONG)
def test_error_in_also_is_reported(tmp_path: Path, action: str, also: str, code: str, said: str) -> None:
    found = [finding for finding in check(written(tmp_path, action, also)) if finding.severity == "error"]
    assert [finding.code for finding in found] == [code]
    assert said in found[0].message


def test_message_of_also_is_filled_in_and_held_if_a_fact_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, "approve:", "add_to_group: g1, message: 'Code {submission.entered_code}.'")
    [file] = load(path).files
    verdict = file.decide(facts({"submission.entered_code": "ABC"}))
    assert verdict.also is not None
    assert (verdict.also.add_to_group, verdict.also.message) == ("g1", "Code ABC.")
    held = file.decide(facts({"submission.entered_code": None}))
    assert (held.guard, held.also) == ("message", None)
