"""Names that look like numbers or booleans in YAML stay text in every template."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.deploy.chart import CI, Values, ci, render

NAMES: Values = {
    "nameOverride": "NAME",
    "rules": {"existingConfigMap": "NAME"},
    "secrets": {
        "existingSecret": "NAME",
        "keys": {
            "databaseUrl": "NAME1",
            "prolificToken": "NAME2",
            "webhookSecrets": "NAME3",
            "adminToken": "NAME4",
        },
    },
    "priorityClassName": "NAME",
    "serviceAccount": {"name": "NAME"},
    "imagePullSecrets": [{"name": "NAME"}],
    "studies": ["NAME"],
    "podLabels": {"team": "NAME"},
    "extraEnv": [{"name": "NAME", "value": "NAME"}],
}
EXTRA: dict[str, Values] = {
    "demo": {"fullnameOverride": "NAME"},
    "production": {"ingress": {"className": "NAME", "tlsSecret": "NAME"}},
}


def called(name: str, values: Any) -> Any:
    """Return the values with NAME replaced by this name."""
    match values:
        case dict():
            return {key: called(name, value) for key, value in values.items()}
        case list():
            return [called(name, value) for value in values]
        case str():
            return values.replace("NAME", name)
        case _:
            return values


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, type]]:
    """Yield each value with its path and type. Raise AssertionError for a key that is no text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            assert isinstance(key, str), f"{path}.{key}"
            yield from leaves(inner, f"{path}.{'KEY' if key.isdigit() else key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, type(value)


@pytest.mark.parametrize("values", CI)
@pytest.mark.parametrize("name", ["1234", "on", "0x1f", "null", "1e3", "010", "true", "2026-01-01"])
def test_name_that_looks_like_a_number_stays_text(values: str, name: str) -> None:
    own = {"demo": ("rules", "secrets"), "production": ("rules",)}.get(
        values, ()
    )  # with files and values inline
    more = {key: value for key, value in NAMES.items() if key not in own}
    more |= EXTRA.get(values, {})

    def types(called_so: str) -> list[tuple[str, type]]:
        objects = render(ci(values, **called(called_so, more)), release=called_so, namespace=called_so)
        assert {found["metadata"]["namespace"] for found in objects} == {called_so}
        assert {found["metadata"]["labels"]["app.kubernetes.io/instance"] for found in objects} == {called_so}
        return [leaf for found in objects for leaf in leaves(found)]

    assert types(name) == types("plain")


def test_secret_key_of_digits_stays_text() -> None:
    keys = {"databaseUrl": "1", "prolificToken": "0x2", "webhookSecrets": "on"}
    [secret] = [found for found in render(ci("demo", secrets={"keys": keys})) if found["kind"] == "Secret"]
    assert set(keys.values()) <= set(secret["stringData"])


def test_large_numbers_are_rendered_without_an_exponent() -> None:
    values = ci(
        "minimal", migrations={"activeDeadlineSeconds": 10_000_000}, terminationGracePeriodSeconds=2_000_000
    )
    objects = {found["kind"]: found for found in render(values)}
    assert objects["Job"]["spec"]["activeDeadlineSeconds"] == 10_000_000
    assert objects["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 2_000_000
