"""The chart as Helm renders it. The one module that knows the library: the ``helm`` binary could take its place."""

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
    """The values of ``helm/ci/<name>-values.yaml``, with ``changes`` merged in: ``{"web": {"replicas": 3}}``."""
    return merged(deepcopy(_ci(name)), changes)


def merged(values: Values, changes: Mapping[str, Any]) -> Values:
    for name, change in changes.items():
        inner = values.get(name)
        values[name] = (
            merged(inner, change) if isinstance(inner, dict) and isinstance(change, dict) else change
        )
    return values


def texts(values: Values, *, release: str = RELEASE, namespace: str = NAMESPACE) -> dict[str, str]:
    """What each template gives, by its path below ``templates/``. Raises HelmError where it refuses."""
    rendered = _chart().render(values, name=release, namespace=namespace, is_install=True)
    return {path.partition("/templates/")[2]: text for path, text in rendered.items()}


def render(values: Values, *, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Object]:
    """All objects, hooks too."""
    written = texts(values, release=release, namespace=namespace)
    manifests = [text for path, text in written.items() if path.endswith(".yaml")]
    return [found for text in manifests for found in yaml.safe_load_all(text) if found]


def refusal(values: Values) -> str:
    """Why Helm refuses the values; empty if it does not."""
    try:
        texts(values)
    except helm_python.HelmError as error:
        return str(error)
    return ""


def complaints(values: Values, kube_version: str) -> list[str]:
    """What ``helm lint --strict`` finds, from warnings up."""
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
    """The specification of each pod that the objects make."""
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
