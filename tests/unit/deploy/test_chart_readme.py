"""The README of the chart lists every value, and its examples are valid."""

import textwrap
from collections.abc import Iterator

import kubernetes_validate  # type: ignore[import-untyped]
import yaml

from tests.unit.deploy.chart import CI, FOLDER, Values, ci, defaults, of_kind, render
from tests.unit.deploy.chart_readme import README, documented, with_table

TEXT = README.read_text(encoding="utf-8")


def test_readme_table_of_values_is_up_to_date() -> None:
    assert with_table(TEXT) == TEXT, "run: python -m tests.unit.deploy.chart_readme"


def test_every_value_has_a_comment_for_the_readme() -> None:
    explained = {path for path, _ in documented()}

    def unexplained(values: Values, path: str = "") -> Iterator[str]:
        for name, value in values.items():
            if f"{path}{name}" in explained:
                continue
            if isinstance(value, dict) and value:
                yield from unexplained(value, f"{path}{name}.")
            else:
                yield f"{path}{name}"

    assert list(unexplained(defaults())) == []
    assert len(explained) > 60


def test_readme_links_lead_to_existing_files() -> None:
    for name in ("templates/alerts.yaml", "values.schema.json", "ci"):
        assert f"({name})" in TEXT
        assert (FOLDER / name).exists()
    assert len(CI) >= 5


def test_values_in_the_readme_open_the_ports_of_evidence_sources() -> None:
    _, _, after = TEXT.partition("  ```yaml\n")
    values = yaml.safe_load(textwrap.dedent(after.partition("  ```\n")[0]))
    own, _ = of_kind(render(ci("production", **values)), "NetworkPolicy")
    kubernetes_validate.validate(own, kubernetes_validate.latest_version(), strict=True)
    opened = {port["port"] for rule in own["spec"]["egress"] for port in rule.get("ports", ())}
    assert opened == {53, 443, 5432, 3306, 8080}
