"""The pages are short, their links are valid, and the names in them exist."""

import re
import tomllib
from collections import Counter

import pytest

from service.domain.decision import Guard, Mode, Outcome
from service.rules import FACTS, MEANINGS
from tests.unit.deploy.chart import ci, render
from tests.unit.docs.pages import PAGES, ROOT, anchors, blocks, links, names, page, prose, section, table

LIMIT = 8 * 1024  # bytes of README.md
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
# Words that the pages do not use, because a standard term exists.
PRIVATE = r"\b(told|tells?|nobody|whoever|reckon\w*|stumble\w*|mend(ed|s)?|at rest|all the same|once more)\b"


def test_readme_is_short() -> None:
    assert len(page("README.md").encode()) <= LIMIT


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    for link in links(name):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), link


@pytest.mark.parametrize("name", PAGES)
def test_headings_are_unique(name: str) -> None:
    counted = Counter(re.findall(r"^#+ (.*)$", prose(name), flags=re.MULTILINE))
    assert [heading for heading, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_exist(name: str) -> None:
    commands = [command for block in blocks(name, "console") for command in block.commands]
    named = [*re.findall(r"`make (\w+)", prose(name)), *re.findall(r"\bmake (\w+)", "\n".join(commands))]
    assert set(named) <= TARGETS


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"rules/README.md", "helm/README.md"}))
def test_page_uses_the_standard_terms(name: str) -> None:
    text = re.sub(r"`[^`]+`", "", prose(name))
    assert [one[0] for one in re.finditer(PRIVATE, text, flags=re.IGNORECASE)] == []


def test_every_page_is_linked_from_the_readme() -> None:
    assert set(PAGES) - {"README.md"} <= set(links("README.md"))


def test_deciding_page_has_every_guard_mode_and_outcome() -> None:
    for name in (*Guard, *Mode, *Outcome):
        assert f"`{name}`" in page("docs/deciding.md"), name


def test_rule_guide_has_every_fact_and_rule_code() -> None:
    for fact in FACTS:
        assert f"`{fact}`" in page("rules/README.md"), fact
    for code in MEANINGS:
        assert code in page("rules/README.md"), code


def test_runbook_has_an_entry_for_each_alert_of_the_chart() -> None:
    values = ci("extras", monitoring={"prometheusRule": {"enabled": True, "webhookHours": 12}})
    (rule,) = [one for one in render(values) if one["kind"] == "PrometheusRule"]
    alerts = [alert["alert"] for group in rule["spec"]["groups"] for alert in group["rules"]]
    entries = re.findall(r"^### (\w+)$", section("docs/operating.md", "Runbook"), flags=re.MULTILINE)
    assert entries == alerts


def test_files_named_in_contributing_exist() -> None:
    named = [
        name for name in names(prose("CONTRIBUTING.md")) if re.fullmatch(r"[\w./]+/[\w./]*|\.ci/run", name)
    ]
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_layers_in_contributing_are_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    layers = [layer.split(" | ") for layer in contract["layers"] if layer != "__main__"]
    assert [names(row[0]) for row in table("CONTRIBUTING.md", "Layers", "packages")] == layers


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "make test" in page("README.md")
    assert {"make lint", "make test", "make acceptance"} <= set(ran)


def test_names_of_test_files_are_unique() -> None:
    names_of_files = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names_of_files if names_of_files.count(name) > 1}) == []
