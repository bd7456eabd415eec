"""The chart's README lists every value of values.yaml."""

from collections.abc import Iterator

from tests.unit.deploy.chart import CI, FOLDER, Values, defaults
from tests.unit.deploy.chart_readme import README, documented, with_table

TEXT = README.read_text(encoding="utf-8")


def test_the_table_is_fresh() -> None:
    assert with_table(TEXT) == TEXT, "run: python -m tests.unit.deploy.chart_readme"


def test_every_value_is_explained() -> None:
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


def test_the_readme_names_its_parts_as_they_are() -> None:
    for name in ("templates/alerts.yaml", "values.schema.json", "ci"):
        assert f"({name})" in TEXT
        assert (FOLDER / name).exists()
    assert len(CI) >= 5
