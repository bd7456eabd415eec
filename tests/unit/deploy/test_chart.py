"""Objects of the chart, validated against the oldest and the newest supported version of Kubernetes."""

import re
import tarfile
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from service import __version__
from tests.unit.deploy.chart import (
    CI,
    FOLDER,
    NAMESPACE,
    Object,
    about,
    ci,
    complaints,
    component_of,
    containers,
    deployment,
    of_kind,
    package,
    pods,
    render,
    texts,
)

OLDEST = about()["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
NEWEST = kubernetes_validate.latest_version().removesuffix(".0")
OPERATORS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")  # not Kubernetes' own: no schema here

every_ci_file = pytest.mark.parametrize("values", CI)


@every_ci_file
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_schema_accepts_every_object(values: str, version: str) -> None:
    for found in render(ci(values)):
        if found["kind"] not in OPERATORS:
            assert kubernetes_validate.validate(found, version, strict=True) == version


@every_ci_file
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_helm_lint_finds_nothing(values: str, version: str) -> None:
    assert complaints(ci(values), f"v{version}.0") == []


def test_ci_files_render_every_template() -> None:
    rendered = {path for name in CI for path, text in texts(ci(name)).items() if text.strip()}
    folder = FOLDER / "templates"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert {path for path in written if not path.endswith(".tpl")} - rendered == {"validate.yaml"}


@every_ci_file
def test_every_object_has_its_namespace_and_the_standard_labels(values: str) -> None:
    for found in render(ci(values)):
        labels = found["metadata"]["labels"]
        assert found["metadata"]["namespace"] == NAMESPACE
        assert {f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "managed-by")} < set(
            labels
        )
        assert labels["app.kubernetes.io/version"] == __version__
        for pod in [found["spec"]["template"]] if "template" in found.get("spec", {}) else []:
            assert labels.items() <= pod["metadata"]["labels"].items()


@every_ci_file
def test_object_names_are_unique_and_selectors_match_one_component(values: str) -> None:
    objects = render(ci(values))
    named = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(named) == len(set(named))
    for found in of_kind(objects, "Service", "Deployment", "PodDisruptionBudget"):
        selector = found["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert wanted["app.kubernetes.io/component"] == component_of(found)


def test_chart_has_the_version_of_the_service_and_no_dependencies() -> None:
    assert about()["appVersion"] == __version__
    assert about()["version"] == __version__
    assert "dependencies" not in about()
    image = containers(render(ci("minimal")))[0]["image"]
    assert image.endswith(f":{__version__}")


def test_image_digest_has_precedence_over_the_tag() -> None:
    digest = "sha256:" + "0" * 64
    for container in containers(render(ci("autoscaling", image={"digest": digest}))):
        assert container["image"] == f"autoreview@{digest}"


def test_deployment_has_no_replicas_where_an_autoscaler_sets_them() -> None:
    scaled = render(ci("autoscaling"))
    assert "replicas" not in deployment(scaled, "web")["spec"]
    assert deployment(scaled, "worker")["spec"]["replicas"] == 1
    (scaler,) = of_kind(scaled, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment(scaled, "web")["metadata"]["name"]
    assert deployment(render(ci("minimal")), "web")["spec"]["replicas"] == 2
    assert not of_kind(render(ci("minimal")), "HorizontalPodAutoscaler")


@pytest.mark.parametrize(
    ("values", "changes", "guarded"),
    [
        ("minimal", {}, {"web"}),
        ("production", {}, {"web", "worker"}),
        ("autoscaling", {}, {"web"}),
        ("minimal", {"web": {"replicas": 1}}, set()),
        ("minimal", {"web": {"replicas": 0}}, set()),
        ("minimal", {"podDisruptionBudget": {"enabled": False}}, set()),
    ],
)
def test_disruption_budget_exists_only_for_several_pods(
    values: str, changes: dict[str, Any], guarded: set[str]
) -> None:
    budgets = of_kind(render(ci(values, **changes)), "PodDisruptionBudget")
    assert {component_of(one) for one in budgets} == guarded
    assert all(one["spec"]["maxUnavailable"] == 1 for one in budgets)


def test_migration_job_is_a_hook_that_needs_nothing_of_the_release() -> None:
    objects = render(ci("production"))
    (job,) = of_kind(objects, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["migrate"]
    assert "serviceAccountName" not in pod
    (secret,) = [one["secret"] for one in pod["volumes"] if "secret" in one]
    assert secret["secretName"] == "autoreview"
    assert [item["key"] for item in secret["items"]] == ["database-url"]
    assert not [volume for volume in pod["volumes"] if "configMap" in volume]


@pytest.mark.parametrize(("mode", "jobs", "inits"), [("job", 1, 0), ("init", 0, 1), ("off", 0, 0)])
def test_migration_mode_selects_job_init_container_or_neither(mode: str, jobs: int, inits: int) -> None:
    objects = render(ci("minimal", migrations={"mode": mode}))
    assert len(of_kind(objects, "Job")) == jobs
    for found in of_kind(objects, "Deployment"):
        assert len(found["spec"]["template"]["spec"].get("initContainers", [])) == inits


def test_changed_rules_restart_no_pod_and_are_mounted_as_a_folder() -> None:
    before = render(ci("production"))
    after = render(ci("production", rules={"files": {"stroop.yaml": "version: 1\n"}}))
    assert of_kind(before, "ConfigMap") != of_kind(after, "ConfigMap")
    assert of_kind(before, "Deployment") == of_kind(after, "Deployment")
    for pod in pods(of_kind(before, "Deployment")):
        mounts = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] in ("rules", "secrets")]
        assert len(mounts) == 2
        assert all("subPath" not in mount and mount["readOnly"] for mount in mounts)


def test_folders_of_csv_files_are_mounted_below_the_rules_of_workers_alone() -> None:
    """The kubelet creates the mount point in the volume of the rules, because both mounts are in one container."""
    objects = render(ci("production", evidenceFolders={"exports": "survey-files", "lab": "lab"}))
    pod = deployment(objects, "worker")["spec"]["template"]["spec"]
    mounts = {one["name"]: one for one in pod["containers"][0]["volumeMounts"]}
    assert mounts["rules"]["mountPath"] == "/rules"
    for folder, claim in (("exports", "survey-files"), ("lab", "lab")):
        name = f"evidence-{folder}"
        assert mounts[name] == {"name": name, "mountPath": f"/rules/{folder}", "readOnly": True}
        [volume] = [one for one in pod["volumes"] if one["name"] == name]
        assert volume["persistentVolumeClaim"] == {"claimName": claim, "readOnly": True}
    others = [pod for pod in pods(objects) if pod["containers"][0]["name"] != "worker"]
    assert len(others) >= 2
    assert "survey-files" not in str(others)


def test_rule_files_are_mounted_byte_for_byte() -> None:
    text = 'version: 1\r\n# "quoted", {braced} and a tab\t\n\nname: Ünïcode ✓\n\n'
    files = {"files": {"stroop.yaml": text}}
    both = of_kind(render(ci("production", rules=files, shadowRules=files)), "ConfigMap")
    assert [rules["data"] for rules in both] == [{"stroop.yaml": text}] * 2


def test_ingress_routes_only_the_webhook_unless_more_is_enabled() -> None:
    def paths(**ingress: bool) -> dict[str, str]:
        (found,) = of_kind(render(ci("production", ingress=ingress)), "Ingress")
        return {one["path"]: one["pathType"] for one in found["spec"]["rules"][0]["http"]["paths"]}

    webhook = {"/webhooks/prolific": "Exact"}
    assert paths(evidence=False, dashboard=False) == webhook
    assert paths(evidence=True, dashboard=False) == webhook | {"/evidence/": "Prefix"}
    with_dashboard = paths(evidence=False, dashboard=True)
    assert with_dashboard.items() > (webhook | {"/": "Exact", "/api/": "Prefix"}).items()
    assert not {"/metrics", "/livez", "/readyz", "/evidence/"} & set(with_dashboard)


def test_public_url_defaults_to_the_ingress_host() -> None:
    def public_url(values: Object) -> str | None:
        env = containers(of_kind(render(values), "Deployment"))[0]["env"]
        return next((one["value"] for one in env if one["name"] == "AUTOREVIEW_PUBLIC_URL"), None)

    assert public_url(ci("minimal")) is None
    assert public_url(ci("production")) == "https://review.example.org"
    assert public_url(ci("production", publicUrl="https://elsewhere.example.org")) == (
        "https://elsewhere.example.org"
    )


def test_chart_package_has_its_files_and_no_test_values(tmp_path: Path) -> None:
    with tarfile.open(package(tmp_path)) as archive:
        names = {re.sub(r"^autoreview/", "", name) for name in archive.getnames()}
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/web.yaml"} <= names
    assert not [name for name in names if name.startswith("ci/")]
