"""What a user can set, call or read is in the README."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase

import service
from service.cli import app
from service.domain.decision import Guard, Mode, Outcome
from service.errors import AutoreviewError
from service.ops.metrics import Metrics
from service.rules import FACTS, MEANINGS, load
from service.settings import variables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")


def commands(group: typer.Typer, prefix: str = "autoreview") -> Iterator[str]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{prefix} {command.name or command.callback.__name__.rstrip('_')}"
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, f"{prefix} {inner.name}")


def errors(branch: type[AutoreviewError] = AutoreviewError) -> Iterator[type[AutoreviewError]]:
    for found in walk_packages(service.__path__, "service."):
        if not found.name.endswith(("__main__", "embedded_child")):
            import_module(found.name)
    for error in branch.__subclasses__():
        yield error
        yield from errors(error)


@pytest.mark.parametrize(
    "variable",
    sorted({name.removesuffix("_FILE") for name in variables()}),
)
def test_every_setting_is_documented(variable: str) -> None:
    assert f"`{variable}`" in README


@pytest.mark.parametrize("command", sorted(commands(app)))
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"`{command}[ `]", README)


def test_every_metric_is_documented() -> None:
    metrics = [one for one in vars(Metrics()).values() if isinstance(one, MetricWrapperBase)]
    assert len(metrics) >= 9
    for metric in metrics:
        (described,) = metric.describe()
        name = f"{described.name}_total" if described.type == "counter" else described.name
        assert f"`{name}`" in README, name


def test_every_error_code_is_documented() -> None:
    for error in errors():
        assert f"`{error.code}`" in README, error.code


def test_every_code_of_a_refusal_is_documented() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "service").rglob("*.py"))
    for code in re.findall(r'(?:problem|_refuse)\(\s*\d+,\s*"(\w+)"', sources):
        assert f"`{code}`" in README, code


def test_every_guard_mode_and_outcome_is_documented() -> None:
    for name in (*Guard, *Mode, *Outcome):
        assert f"`{name}`" in README, name


def test_every_fact_and_rule_code_is_in_the_guide_of_rule_authors() -> None:
    for fact in FACTS:
        assert f"`{fact}`" in GUIDE, fact
    for code in MEANINGS:
        assert code in GUIDE, code


def test_the_readmes_first_rule_file_is_right(tmp_path: Path) -> None:
    (first,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "first.yaml").write_text(first, encoding="utf-8")
    assert len(load(tmp_path).files[0].rules) == 3


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in README
    assert "make acceptance" in README
    assert ran.splitlines()[-3:] == ["make lint", "make test", "make acceptance"]
