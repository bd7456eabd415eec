"""The guide in ``rules/README.md`` is complete, and its examples are valid."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from service.rules import ADVICE, CATALOGUE, FACTS, MEANINGS, Limits, check, load, origin, run, unreached
from service.rules.format.actions import ACTIONS
from service.rules.format.case_model import GUARDS, Expect
from service.rules.format.model import File
from service.rules.format.rule_model import Rule

GUIDE = (Path(__file__).parents[3] / "rules" / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```yaml\nversion: 1\nname: (.*?)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
RECIPES = GUIDE[GUIDE.index("## Recipes") : GUIDE.index("## What is held against")]


def test_guide_has_eleven_recipes() -> None:
    assert RECIPES.count("\n### ") == RECIPES.count("```yaml\n") == 11
    assert len(BLOCKS) == GUIDE.count("```yaml\n") == 13


@pytest.mark.parametrize("name", BLOCKS)
def test_guide_recipe_is_a_valid_file_whose_tests_reach_every_rule(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.yaml"
    block = BLOCKS[name].replace("[your-study-id]", "[60aca280709ee40ec37d4885]")
    path.write_text(f"version: 1\nname: {name}\n{block}", encoding="utf-8")
    assert [str(finding) for finding in check(path) if finding.severity != "allowed"] == []
    [file] = load(path).files
    results = run(file)
    assert [(result.case.name, result.failures) for result in results if not result.ok] == []
    assert unreached(file, results) == ()


def test_guide_has_type_unit_and_origin_of_every_fact() -> None:
    assert list(CATALOGUE) == list(FACTS)
    for fact, about in CATALOGUE.items():
        mark = "?" if about.may_be_missing else ""
        row = f"| `{fact}`{mark} | {FACTS[fact]} | {about.unit} | {about.origin} | {about.meaning} |"
        assert row in GUIDE, f"the guide lacks: {row}"


@pytest.mark.parametrize(
    "keys", [File.keys(), Rule.keys(), Expect.keys(), GUARDS], ids=["file", "rule", "expect", "guard"]
)
def test_guide_explains_every_key(keys: Iterable[str]) -> None:
    for key in keys:
        assert re.search(f"`{key}[`:]", GUIDE), f"the guide lacks: {key}"


def test_guide_has_the_default_of_every_limit() -> None:
    limits = Limits()
    share, per_day = f"{limits.reject.share * 100}%, {limits.reject.of_last}", limits.request_return.per_day
    assert f"| `reject: {{share: 10%, of_last: 50}}` | {share} |" in GUIDE
    assert f"| `reject: {{per_day: 20}}` | {limits.reject.per_day} |" in GUIDE
    assert f"| `request_return: {{per_day: 50}}` | {per_day} |" in GUIDE
    assert "| `approve: {reward_per_day: 50000}` | no limit |" in GUIDE
    assert limits.approve.reward_per_day is None


def test_guide_explains_every_action() -> None:
    for action in ACTIONS:
        assert f"| `{action}:" in GUIDE


def test_guide_explains_every_finding_code() -> None:
    rows = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    rows += [f"| {code.value} | {advice.why} | {advice.instead} |" for code, advice in ADVICE.items()]
    for row in rows:
        assert row in GUIDE, f"the guide lacks: {row}"


@pytest.mark.parametrize(
    ("fact", "said_by"),
    [
        ("submission.time_taken", "Prolific"),
        ("stats.z", "this service"),
        ("evidence.survey.failed", "evidence survey"),
        ("evidence.survey.received", "this service"),
    ],
)
def test_fact_has_its_origin(fact: str, said_by: str) -> None:
    assert origin(fact) == said_by


def test_guide_is_no_rule_file() -> None:
    folder = Path(__file__).parents[3] / "rules"
    assert {file.path for file in load(folder).files} == {path.name for path in folder.glob("*.yaml")}
    assert [(finding.file, finding.code) for finding in check(folder)] == [
        (str(folder / "template.yaml"), "RUL028")
    ]
