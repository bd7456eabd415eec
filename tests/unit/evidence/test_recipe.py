"""The recipes of survey platforms are complete, and their blocks are valid in a rule file."""

import pytest

from service.evidence.recipe import FOLDER, PLATFORMS, recipe
from service.rules.file_reading import read_file
from service.rules.format.findings import Findings


def test_each_supported_platform_has_a_recipe() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(PLATFORMS)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_recipe_has_a_block_a_link_steps_and_pitfalls(platform: str) -> None:
    found = recipe(platform)
    text = found.as_text("https://review.example.org/")
    assert "{{%SESSION_ID%}}" in found.link
    assert found.evidence.rstrip() in text
    assert found.traps
    assert all(trap in text for trap in found.traps)
    assert f"https://review.example.org/evidence/{platform}" in text or f"push {platform} data.csv" in text
    assert "{url}" not in text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_recipe_block_is_valid_in_a_rule_file(platform: str) -> None:
    findings = Findings("a.yaml")
    file, _ = read_file("a.yaml", rules(platform).encode(), findings)
    assert list(findings.found) == []
    assert file
    assert list(file.evidence) == [platform]
    assert file.evidence[platform].wait


def rules(platform: str) -> str:
    return f"version: 1\nname: {platform}\nstudies: [60aca280709ee40ec37d4885]\n{recipe(platform).evidence}\notherwise: approve\n"
