"""The chart as rendered by Helm. Only this module uses the library, so the ``helm`` binary could replace it."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "helm"
RELEASE, NAMESPACE = "autoreview", "lab"
CI = {path.name.removesuffix("-values.yaml"): path for path in sorted((FOLDER / "ci").glob("*-values.yaml"))}

Object = dict[str, Any]
Values = dict[str, Any]


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(FOLDER)


@cache
def _ci(name: str) -> Values:
    return helm_python.values_from_yaml(CI[name].read_text(encoding="utf-8"))


def ci(name: str, **changes: Any) -> Values:
    """Return the values of ``helm/ci/<name>-values.yaml`` with ``changes`` merged in: ``{"web": {"replicas": 3}}``."""
    return merged(deepcopy(_ci(name)), changes)


def merged(values: Values, changes: Mapping[str, Any]) -> Values:
    for name, change in changes.items():
        inner = values.get(name)
        values[name] = (
            merged(inner, change) if isinstance(inner, dict) and isinstance(change, dict) else change
        )
    return values


def texts(values: Values, *, release: str = RELEASE, namespace: str = NAMESPACE) -> dict[str, str]:
    """Return the text of each template by its path below ``templates/``. Raise HelmError if the chart refuses the values."""
    rendered = _chart().render(values, name=release, namespace=namespace, is_install=True)
    return {path.partition("/templates/")[2]: text for path, text in rendered.items()}


def render(values: Values, *, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Object]:
    """Return all rendered objects, hooks too."""
    written = texts(values, release=release, namespace=namespace)
    manifests = [text for path, text in written.items() if path.endswith(".yaml")]
    return [found for text in manifests for found in yaml.load_all(text, yaml.CSafeLoader) if found]


def refusal(values: Values) -> str:
    """Return the message with which the chart refuses the values, empty if it accepts them."""
    try:
        texts(values)
    except helm_python.HelmError as error:
        return str(error)
    return ""


def complaints(values: Values, kube_version: str) -> list[str]:
    """Return the warnings and errors of ``helm lint --strict``."""
    report = helm_python.lint(FOLDER, values, strict=True, kube_version=kube_version)
    told = [str(message) for message in report["messages"] if message["severity"] >= 2]
    return told + [str(error) for error in report["errors"]]


def package(destination: Path) -> Path:
    return Path(helm_python.package(FOLDER, destination=destination))


def defaults() -> Values:
    loaded: Values = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
    return loaded


def about() -> dict[str, Any]:
    """``Chart.yaml``."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "Chart.yaml").read_text(encoding="utf-8"))
    return loaded


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [found for found in objects if found["kind"] in kinds]


def deployment(objects: list[Object], component: str) -> Object:
    (found,) = [one for one in of_kind(objects, "Deployment") if component_of(one) == component]
    return found


def component_of(found: Object) -> str | None:
    component: str | None = found["metadata"]["labels"].get("app.kubernetes.io/component")
    return component


def pods(objects: list[Object]) -> Iterator[Object]:
    """Return the specification of each pod of the objects."""
    for found in objects:
        if found["kind"] == "Pod":
            yield found["spec"]
        elif template := found["spec"].get("template") if "spec" in found else None:
            yield template["spec"]


def containers(objects: list[Object]) -> list[Object]:
    return [one for pod in pods(objects) for one in pod.get("initContainers", []) + pod["containers"]]


def environment(container: Object) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container.get("env", [])}


def main_container(objects: list[Object], component: str) -> Object:
    (found,) = deployment(objects, component)["spec"]["template"]["spec"]["containers"]
    container: Object = found
    return container
