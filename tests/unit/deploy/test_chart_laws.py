"""Rules for every pod of the chart, with any values."""

import re

import pytest

from service.serve import DRAIN, FROZEN_AFTER, GRACE
from tests.unit.deploy.chart import CI, ci, containers, of_kind, pods, refusal, render

every_ci_file = pytest.mark.parametrize("values", CI)


@every_ci_file
def test_every_container_has_a_restricted_security_context(values: str) -> None:
    found = containers(render(ci(values)))
    assert len(found) >= 3
    for container in found:
        context = container["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not context.get("privileged")


@every_ci_file
def test_every_pod_has_a_restricted_security_context(values: str) -> None:
    for pod in pods(render(ci(values))):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not [one for one in pod.get("volumes", []) if "hostPath" in one]


def test_pods_run_as_the_user_of_the_image_unless_the_platform_chooses() -> None:
    for pod in pods(render(ci("minimal"))):
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    for pod in pods(render(ci("extras"))):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["securityContext"])


@every_ci_file
def test_every_container_has_resources_and_a_pinned_image(values: str) -> None:
    for container in containers(render(ci(values))):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert re.search(r"(@sha256:[0-9a-f]{64}|:(?!latest$)[^/:]+)$", container["image"])


@every_ci_file
def test_environment_has_no_secret(values: str) -> None:
    chosen = ci(values)
    secrets = set(chosen["secrets"].get("values", {}).values())
    for container in containers(render(chosen)):
        for variable in container.get("env", []):
            assert not re.search(r"(URL|TOKEN|SECRETS|URLS)$", variable["name"]) or variable["name"] in (
                "AUTOREVIEW_PROLIFIC_URL",
                "AUTOREVIEW_PUBLIC_URL",
            )
            assert variable["value"] not in secrets


@every_ci_file
def test_only_tmp_is_writable(values: str) -> None:
    for pod in pods(render(ci(values))):
        writable = {one["name"] for one in pod.get("volumes", []) if "emptyDir" in one}
        assert writable <= {"tmp"}
        assert all("sizeLimit" in one["emptyDir"] for one in pod.get("volumes", []) if "emptyDir" in one)


@every_ci_file
def test_termination_grace_period_covers_pre_stop_and_drain(values: str) -> None:
    for pod in pods(of_kind(render(ci(values)), "Deployment")):
        _, pause = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert pod["terminationGracePeriodSeconds"] > int(pause) + DRAIN + GRACE


def test_termination_grace_period_has_the_minimum_of_the_service() -> None:
    least = 5 + int(DRAIN) + GRACE + int(FROZEN_AFTER)
    assert f"more than {least}" in refusal(ci("minimal", terminationGracePeriodSeconds=least))
    assert refusal(ci("minimal", terminationGracePeriodSeconds=least + 1)) == ""


@every_ci_file
def test_rolling_update_keeps_each_pod_until_its_successor_is_ready(values: str) -> None:
    for found in of_kind(render(ci(values)), "Deployment"):
        assert found["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
