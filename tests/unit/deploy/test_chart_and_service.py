"""The chart and the service agree: on settings, routes, ports, metrics and commands."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import BaseRoute, Mount, Route

from service.app import Parts, build
from service.cli import app as commands
from service.cli.serve import Only
from service.counters import NOTIFICATION_RESULTS
from service.errors import AutoreviewError
from service.rulebook.current import RulesInForce
from service.rules import load
from service.settings import SECRETS, SOURCE, Settings, variables
from service.store.fetches import FAILED as FETCH_FAILED
from service.telemetry.metrics import Metrics
from tests.unit.deploy.chart import (
    CI,
    Object,
    ci,
    containers,
    defaults,
    deployment,
    environment,
    main_container,
    of_kind,
    pods,
    render,
)
from tests.unit.docs.pages import section
from tests.world import rules_text, write_rules

OPERATING = {"/livez", "/healthz", "/readyz", "/metrics"}
# Set by the chart or the image: a container has one port, no data folder, and JSON logs.
NOT_VALUES = {"AUTOREVIEW_PORT", "AUTOREVIEW_DATA_DIR", "AUTOREVIEW_LOG_FORMAT"}
PORT = Settings.model_fields["port"].default

every_ci_file = pytest.mark.parametrize("values", CI)


@every_ci_file
def test_every_variable_of_the_chart_is_a_setting_of_the_service(values: str) -> None:
    given = {name for container in containers(render(ci(values))) for name in environment(container)}
    own = {name for name in given if name.startswith("AUTOREVIEW_")}
    assert {name for name in own if not SOURCE.fullmatch(name)} <= variables()


def test_every_setting_of_the_service_is_a_value_of_the_chart() -> None:
    set_by_chart = {name for component in Only for name in environment(main_container(full(), component))}
    by_file = {f"AUTOREVIEW_{name}" for name in SECRETS}
    assert variables() - set_by_chart == by_file | NOT_VALUES


def test_secrets_of_sources_are_files_in_web_and_worker_but_not_in_the_migration() -> None:
    objects = render(ci("production", secrets={"sources": {"recall": "recall-secret", "Lab2": "lab"}}))
    wanted = {
        "AUTOREVIEW_SOURCE_RECALL_FILE": "/secrets/recall-secret",
        "AUTOREVIEW_SOURCE_LAB2_FILE": "/secrets/lab",
    }
    for container in containers(of_kind(objects, "Deployment", "Job")):
        given = {name: path for name, path in environment(container).items() if SOURCE.fullmatch(name)}
        assert given == ({} if container["name"] == "migrate" else wanted)


def test_shadow_rules_are_mounted_in_their_own_folder_only_if_set() -> None:
    for values, config_map in (("production", "autoreview-shadow-rules"), ("extras", "shadow-rules")):
        for pod in pods(of_kind(render(ci(values)), "Deployment")):
            [container] = pod["containers"]
            folder = environment(container)["AUTOREVIEW_SHADOW_RULES_DIR"]
            [volume] = [one["name"] for one in container["volumeMounts"] if one["mountPath"] == folder]
            mounted = {one["name"]: one.get("configMap", {}).get("name") for one in pod["volumes"]}
            assert mounted[volume] == config_map
    for container in containers(render(ci("minimal"))):
        assert "AUTOREVIEW_SHADOW_RULES_DIR" not in environment(container)


def full() -> list[Object]:
    """Return values that use every setting."""
    return render(ci("production"))


def test_chart_values_become_the_same_settings_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(main_container(full(), "worker")).items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert settings.mode == "live"
    assert settings.public_url == "https://review.example.org"
    assert settings.studies == ("60aca280709ee40ec37d4885", "123456789012345678901234")
    assert settings.sweep_every.total_seconds() == 300
    assert settings.rules_dir == Path("/rules")
    assert settings.prolific_token_file == Path("/secrets/prolific-token")


def test_large_and_missing_limits_are_passed_on_unchanged() -> None:
    given = environment(main_container(full(), "worker"))
    assert given["AUTOREVIEW_LIMIT_REWARD_PER_DAY"] == "50000000"
    assert given["AUTOREVIEW_LIMIT_REQUEST_RETURN_PER_DAY"] == "0"
    assert not [name for name in environment(main_container(render(ci("minimal")), "web")) if "LIMIT" in name]


def test_chart_defaults_equal_service_defaults() -> None:
    given = defaults()
    own = {name: field.default for name, field in Settings.model_fields.items()}
    assert given["mode"] == own["mode"]
    assert given["logLevel"] == own["log_level"]
    assert given["prolific"] == {"url": own["prolific_url"], "concurrency": own["prolific_concurrency"]}
    assert given["sweepEvery"] == f"{own['sweep_every'].total_seconds() / 60:.0f}m"


@every_ci_file
def test_every_secret_file_in_the_environment_is_mounted(values: str) -> None:
    for pod in pods(render(ci(values))):
        mounted = {
            f"/secrets/{item['path']}"
            for volume in pod.get("volumes", [])
            for item in volume.get("secret", {}).get("items", [])
        }
        for container in pod.get("initContainers", []) + pod["containers"]:
            assert {v for n, v in environment(container).items() if n.endswith("_FILE")} <= mounted


def test_inline_secret_has_every_key_that_pods_mount() -> None:
    objects = render(ci("demo"))
    (secret,) = of_kind(objects, "Secret")
    for pod in pods(of_kind(objects, "Deployment")):
        (mounted,) = [one["secret"] for one in pod["volumes"] if "secret" in one]
        assert mounted["secretName"] == secret["metadata"]["name"]
        assert {item["key"] for item in mounted["items"]} == set(secret["stringData"])


@every_ci_file
def test_containers_run_existing_commands(values: str) -> None:
    known = {one.name or getattr(one.callback, "__name__", "") for one in commands.registered_commands}
    for container in containers(render(ci(values))):
        arguments = container.get("args")
        if arguments is None:
            assert container["command"][:3] == ["python", "-m", "service.web.probe"]
        else:
            assert arguments[0] in known
            assert arguments[1:] in ([], *(["--only", half] for half in Only))


@pytest.fixture
def rules(tmp_path: Path) -> RulesInForce:
    return RulesInForce(load(write_rules(tmp_path, rules_text())), datetime.now(UTC))


def routes(rules: RulesInForce, parts: Parts) -> set[str]:
    settings = Settings(prolific_token="t", webhook_secrets="s", admin_token="a", evidence_token="e")
    service = build(settings, "postgresql://nobody@127.0.0.1:9/none", rules, parts=parts)
    return set(_paths(service.web.routes))


def _paths(found: list[BaseRoute], prefix: str = "") -> Iterator[str]:
    for route in found:
        if isinstance(route, Mount):
            yield from _paths(route.routes, f"{prefix}{route.path}")
        else:
            assert isinstance(route, Route)
            yield f"{prefix}{route.path}"


@pytest.mark.parametrize("half", Only)
def test_probes_and_monitors_use_existing_routes(rules: RulesInForce, half: Only) -> None:
    served = routes(rules, Parts(web=half is Only.WEB, worker=half is Only.WORKER))
    container = main_container(full(), half)
    asked = {container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert asked == {"/livez", "/readyz"}
    (monitor,) = of_kind(full(), "ServiceMonitor")
    assert asked | {monitor["spec"]["endpoints"][0]["path"]} <= served


def test_ingress_with_all_options_routes_public_but_no_operating_paths(rules: RulesInForce) -> None:
    (ingress,) = of_kind(full(), "Ingress")
    paths = [(one["path"], one["pathType"]) for one in ingress["spec"]["rules"][0]["http"]["paths"]]

    def let_in(route: str) -> bool:
        return any(route == path or (kind == "Prefix" and route.startswith(path)) for path, kind in paths)

    served = routes(rules, Parts(worker=False))
    assert {route for route in served if not let_in(route)} == OPERATING


@every_ci_file
def test_service_and_container_ports_match(values: str) -> None:
    objects = render(ci(values))
    for half in Only:
        container = main_container(objects, half)
        assert [(port["name"], port["containerPort"]) for port in container["ports"]] == [("http", PORT)]
        assert all(
            container[f"{probe}Probe"]["httpGet"]["port"] == "http" for probe in ("liveness", "readiness")
        )
    for service in of_kind(objects, "Service"):
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    for ingress in of_kind(objects, "Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            backend = path["backend"]["service"]
            assert backend["port"] == {"name": "http"}
            assert backend["name"] in [one["metadata"]["name"] for one in of_kind(objects, "Service")]


def test_network_policy_opens_only_the_port_of_the_service_and_of_the_database() -> None:
    policies = of_kind(full(), "NetworkPolicy")
    inward = [port for one in policies for rule in one["spec"]["ingress"] for port in rule["ports"]]
    outward = [
        port["port"] for one in policies for rule in one["spec"].get("egress", []) for port in rule["ports"]
    ]
    assert {port["port"] for port in inward} == {PORT}
    assert sorted(outward) == [53, 53, 443, 5432]
    assert all(rule["from"] for one in policies for rule in one["spec"]["ingress"])


def test_workers_have_no_ingress_without_monitoring() -> None:
    everyone, web = of_kind(render(ci("extras")), "NetworkPolicy")
    assert "ingress" not in everyone["spec"]
    assert everyone["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert web["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "web"


def alerts() -> dict[str, Object]:
    (rule,) = of_kind(full(), "PrometheusRule")
    return {one["alert"]: one for one in rule["spec"]["groups"][0]["rules"]}


def exposed() -> set[str]:
    return set(re.findall(r"^# TYPE (\S+) ", Metrics().exposition().decode(), flags=re.MULTILINE))


@pytest.mark.parametrize("alert", alerts())
def test_alerts_use_existing_metrics(alert: str) -> None:
    asked = set(re.findall(r"\bautoreview_\w+", alerts()[alert]["expr"]))
    assert asked
    assert asked <= exposed()


def test_alerts_use_existing_error_codes() -> None:
    def codes(branch: type[AutoreviewError] = AutoreviewError) -> Iterator[str]:
        for error in branch.__subclasses__():
            yield error.code
            yield from codes(error)

    named = [re.findall(r'(?:code|result)=~?"([^"]+)"', one["expr"]) for one in alerts().values()]
    asked = {code for group in named for some in group for code in some.split("|")}
    # A token that is refused for one resource only (`prolific_unauthorised`) is no reason for this alert.
    results = {"signature", FETCH_FAILED, *NOTIFICATION_RESULTS}
    assert asked - results == {"prolific_token_refused"}
    assert asked - results <= set(codes())


def foreign(expression: str) -> list[str]:
    """Return the metrics in a PromQL expression that are not limited to the pods of this release."""
    metrics = re.findall(r"(\bautoreview_\w+)(?:\{([^}]*)\})?", expression)
    return [name for name, labels in metrics if 'namespace="lab",pod=~"autoreview-' not in labels]


def test_every_alert_has_instructions_and_is_limited_to_its_release() -> None:
    for alert in alerts().values():
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert foreign(alert["expr"]) == []


def test_each_runbook_url_is_an_entry_of_the_runbook_and_each_entry_has_an_alert() -> None:
    page = "https://git.example.org/autoreview/docs/operating.md"
    for url in ("", page):
        (rule,) = of_kind(
            render(ci("production", monitoring={"prometheusRule": {"runbookUrl": url}})), "PrometheusRule"
        )
        found = [one["annotations"]["runbook_url"] for one in rule["spec"]["groups"][0]["rules"]]
        entries = re.findall(r"^### (\w+)$", section("docs/operating.md", "Runbook"), flags=re.MULTILINE)
        assert found == [f"{url or 'docs/operating.md'}#{entry.lower()}" for entry in entries]


@pytest.mark.parametrize(("every", "seconds"), [("10m", 3600), ("1h30m", 18000), ("1d", 261000)])
def test_sweep_alert_fires_after_three_intervals_and_half_an_hour(every: str, seconds: int) -> None:
    (rule,) = of_kind(render(ci("production", sweepEvery=every)), "PrometheusRule")
    (stale,) = [one for one in rule["spec"]["groups"][0]["rules"] if one["alert"] == "AutoreviewSweepStale"]
    assert stale["expr"].endswith(f" > {seconds}")


def test_metric_not_limited_to_the_release_is_detected() -> None:
    assert foreign("max(autoreview_failed) > 0") == ["autoreview_failed"]
    assert foreign('autoreview_failed{namespace="lab"} > 0') == ["autoreview_failed"]


def test_alert_of_missing_webhooks_exists_only_if_enabled() -> None:
    assert "AutoreviewNoWebhooks" in alerts()
    values = ci("production", monitoring={"prometheusRule": {"webhookHours": 0}})
    (rule,) = of_kind(render(values), "PrometheusRule")
    assert "AutoreviewNoWebhooks" not in [one["alert"] for one in rule["spec"]["groups"][0]["rules"]]


def test_monitors_select_web_and_worker_pods() -> None:
    def found_by(selector: dict[str, str], objects: list[Object]) -> set[Any]:
        return {
            one["metadata"]["labels"].get("app.kubernetes.io/component")
            for one in objects
            if selector.items() <= one["metadata"]["labels"].items()
        }

    objects = full()
    (monitor,) = of_kind(objects, "ServiceMonitor")
    services = of_kind(objects, "Service")
    assert found_by(monitor["spec"]["selector"]["matchLabels"], services) == {"web", "worker"}
    (monitor,) = of_kind(render(ci("extras")), "PodMonitor")
    templates = [deployment(objects, half)["spec"]["template"] for half in Only]
    assert found_by(monitor["spec"]["selector"]["matchLabels"], templates) == {"web", "worker"}
