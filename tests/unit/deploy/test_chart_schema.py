"""The schema of the values: closed, as complete as the defaults, no wider than Kubernetes."""

import json
from collections.abc import Iterator
from copy import deepcopy

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from kubernetes_validate.utils import schema_contents  # type: ignore[import-untyped]

from tests.unit.deploy.chart import FOLDER, Object, Values, ci, defaults, merged, refusal

SCHEMA = json.loads((FOLDER / "values.schema.json").read_text(encoding="utf-8"))
NEWEST = kubernetes_validate.latest_version()
CHOSEN_BY_OPENSHIFT = {f"podSecurityContext.{name}" for name in ("runAsUser", "runAsGroup", "fsGroup")}


def resolved(schema: Object) -> Object:
    if "$ref" not in schema:
        return schema
    return {**SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], **schema}


def levels(schema: Object, path: str = "") -> Iterator[tuple[str, Object]]:
    """Yield each object with named properties in the schema by its path, in lists too."""
    if schema.get("properties"):
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from levels(resolved(inner), f"{path}.{name}".strip("."))
    if "items" in schema:
        yield from levels(resolved(schema["items"]), f"{path}[]")


def paths(values: Values, path: str = "") -> Iterator[str]:
    """Yield the path of every default and every group of defaults. A list is one value."""
    for name, value in values.items():
        if value is not None:
            yield f"{path}{name}"
        if isinstance(value, dict):
            yield from paths(value, f"{path}{name}.")


def without(path: str) -> Values:
    """Return the production values with null at this path."""
    change: object = None
    for name in reversed(path.split(".")):
        change = {name: change}
    assert isinstance(change, dict)
    return merged(ci("production"), change)


def test_values_schema_is_closed_except_for_kubernetes_objects() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    found = dict(levels(SCHEMA))
    kubernetes_own = {"extraVolumes[]", "extraVolumeMounts[]"}
    open_ones = {path for path, schema in found.items() if schema.get("additionalProperties") is not False}
    assert open_ones == kubernetes_own
    assert {"", "secrets.keys", "web.resources.requests", "affinity", "extraEnv[]"} < set(found)


def test_values_schema_and_defaults_have_the_same_names() -> None:
    def of_values(values: Object, schema: Object) -> Iterator[tuple[set[str], set[str]]]:
        yield set(values), set(schema["properties"])
        for name, inner in schema["properties"].items():
            if inner.get("properties") and values[name]:
                yield from of_values(values[name], inner)

    own = {**SCHEMA, "properties": {k: v for k, v in SCHEMA["properties"].items() if k != "global"}}
    for written, allowed in of_values(defaults(), own):
        assert written == allowed


@pytest.mark.parametrize("path", sorted(set(paths(defaults())) - CHOSEN_BY_OPENSHIFT))
def test_null_is_refused_where_a_default_is_required(path: str) -> None:
    refused = refusal(without(path))
    assert f"missing property '{path.rpartition('.')[2]}'" in refused


@pytest.mark.parametrize("path", sorted(CHOSEN_BY_OPENSHIFT))
def test_null_leaves_user_ids_to_the_platform(path: str) -> None:
    assert refusal(without(path)) == ""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("podSecurityContext", "PodSecurityContext"),
        ("securityContext", "SecurityContext"),
        ("securityContext.capabilities", "Capabilities"),
        ("securityContext.seccompProfile", "SeccompProfile"),
        ("web.resources", "ResourceRequirements"),
        ("affinity", "Affinity"),
        ("imagePullSecrets[]", "LocalObjectReference"),
        ("extraEnv[]", "EnvVar"),
        ("extraEnv[].valueFrom", "EnvVarSource"),
        ("probes.startup", "Probe"),
    ],
)
def test_values_passed_to_kubernetes_have_its_field_names(path: str, kind: str) -> None:
    definitions = schema_contents(f"kubernetes-json-schema/v{NEWEST}-local/_definitions.json", NEWEST)
    known = definitions["$defs"][f"io.k8s.api.core.v1.{kind}"]["properties"]
    assert set(dict(levels(SCHEMA))[path]["properties"]) <= set(known)


def test_values_schema_accepts_kubernetes_fields_beyond_the_defaults() -> None:
    values = ci(
        "extras",
        podSecurityContext={"fsGroupChangePolicy": "OnRootMismatch", "supplementalGroups": [5]},
        securityContext={"runAsUser": 10002, "seLinuxOptions": {"level": "s0:c1,c2"}},
        web={"resources": {"limits": {"cpu": 2, "example.org/gpu": 1, "ephemeral-storage": "1.5Gi"}}},
        affinity={"podAntiAffinity": {}},
        extraEnv=[{"name": "PGPASSFILE", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
    )
    assert refusal(deepcopy(values)) == ""
