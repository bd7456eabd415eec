"""Invalid and contradicting values are refused with a message that says what to change."""

from typing import Any

import pytest

from tests.unit.deploy.chart import CI, FOLDER, ci, refusal

INLINE = {"databaseUrl": "postgresql://u:p@h/d", "prolificToken": "t", "webhookSecrets": "s"}


@pytest.mark.parametrize("values", CI)
def test_ci_files_are_accepted(values: str) -> None:
    assert refusal(ci(values)) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replicaCount": 2}, "replicaCount"),
        ({"image": {"repo": "x"}}, "repo"),
        ({"image": {"tag": "latest"}}, "tag"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
        ({"image": {"repository": "autoreview:0.1.0"}}, "repository"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"mode": "full"}, "mode"),
        ({"publicUrl": "review.example.org"}, "publicUrl"),
        ({"studies": [123456789012345678901234]}, "studies"),
        ({"studies": ["a,b"]}, "studies"),
        ({"prolific": {"concurrency": 0}}, "concurrency"),
        ({"prolific": {"concurrency": 65}}, "concurrency"),
        ({"prolific": {"token": "t"}}, "token"),
        ({"prolific": {"url": "https://:443"}}, "url"),
        ({"prolific": {"url": "https://api.prolific.com:65536"}}, "url"),
        ({"sweepEvery": "ten minutes"}, "sweepEvery"),
        ({"sweepEvery": 600}, "sweepEvery"),
        ({"limits": {"rejectPerDay": -1}}, "rejectPerDay"),
        ({"limits": {"rejectPerDay": "20"}}, "rejectPerDay"),
        ({"limits": {"approvePerDay": 1}}, "approvePerDay"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"rules": {"files": {"stroop.yml": "version: 1"}}}, "stroop.yml"),
        ({"rules": {"files": {"stroop.yaml": {"version": 1}}}}, "stroop.yaml"),
        ({"rules": {"files": {"stroop.yaml": ""}}}, "stroop.yaml"),
        ({"secrets": {"keys": {"databaseUrl": ""}}}, "databaseUrl"),
        ({"secrets": {"keys": {"token": "x"}}}, "token"),
        ({"secrets": {"sources": {"recall-test": "x"}}}, "recall-test"),
        ({"shadowRules": {"files": {"stroop.yml": "version: 1"}}}, "stroop.yml"),
        ({"secrets": {"values": {"databaseUrl": "mysql://h/d"}}}, "databaseUrl"),
        ({"migrations": {"mode": "hook"}}, "mode"),
        ({"migrations": {"mode": False}}, "mode"),  # what `off` without quotes is
        ({"web": {"replicas": "2"}}, "replicas"),
        ({"worker": {"autoscaling": {"enabled": True}}}, "autoscaling"),
        ({"service": {"port": 0}}, "port"),
        ({"ingress": {"hosts": ["a"]}}, "hosts"),
        ({"ingress": {"host": "https://a"}}, "host"),
        ({"ingress": {"host": ".."}}, "host"),
        ({"ingress": {"host": "a..example.org"}}, "host"),
        ({"ingress": {"host": "-a.example.org"}}, "host"),
        ({"ingress": {"host": "*.example.org"}}, "host"),
        ({"ingress": {"host": "A.example.org"}}, "host"),
        ({"ingress": {"host": "10.0.0.1"}}, "host"),  # Kubernetes takes names only
        ({"ingress": {"host": "a" * 64 + ".example.org"}}, "host"),
        ({"ingress": {"host": "a." * 127 + "org"}}, "host"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
        ({"networkPolicy": {"databasePort": 70000}}, "databasePort"),
        ({"monitoring": {"serviceMonitor": {"interval": "often"}}}, "interval"),
        ({"monitoring": {"prometheusRule": {"holdDays": 21}}}, "holdDays"),
        ({"probes": {"liveness": {"path": "/readyz"}}}, "path"),
        ({"preStopSeconds": 0}, "preStopSeconds"),
        ({"topologySpread": "Always"}, "topologySpread"),
        ({"nodeSelector": {"disk": 1}}, "nodeSelector"),
        ({"extraEnv": [{"value": "x"}]}, "extraEnv"),
        ({"extraEnv": [{"name": "A", "vale": "x"}]}, "vale"),
        ({"extraEnv": [{"name": "A", "value": 1}]}, "value"),
        ({"extraEnv": [{"name": "A", "valueFrom": {"secretRef": {}}}]}, "secretRef"),
        ({"imagePullSecrets": [{"name": "a", "nme": "b"}]}, "nme"),
        ({"affinity": {"nodeAffinty": {}}}, "nodeAffinty"),
        ({"web": {"resources": {"request": {"cpu": 1}}}}, "request"),
        ({"web": {"resources": {"requests": {"cpuu": 1}}}}, "cpuu"),
        ({"worker": {"resources": {"limits": {"memory": "512MB"}}}}, "memory"),
        ({"migrations": {"resources": {"claims": [{"name": "a"}]}}}, "claims"),
        ({"securityContext": {"runAsNonRot": True}}, "runAsNonRot"),
        ({"securityContext": {"capabilities": {"drop": "ALL"}}}, "drop"),
        ({"securityContext": {"seccompProfile": {"type": "None"}}}, "type"),
        ({"podSecurityContext": {"fsgroup": 1}}, "fsgroup"),
        ({"podSecurityContext": {"runAsUser": "10001"}}, "runAsUser"),
        ({"podLabels": {"a": True}}, "podLabels"),
        ({"nameOverride": "Not A Name"}, "nameOverride"),
    ],
)
def test_values_schema_refuses_unknown_and_invalid_values(changes: dict[str, Any], said: str) -> None:
    refused = refusal(ci("minimal", **changes))
    assert "schema" in refused
    assert said in refused


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        ("minimal", {"image": {"repository": ""}}, "no image is published"),
        ("minimal", {"secrets": {"existingSecret": ""}}, "There are no secrets"),
        ("minimal", {"secrets": {"values": INLINE}}, "both set"),
        ("demo", {"secrets": {"sources": {"recall": "recall"}}}, "secrets.sources needs"),
        ("demo", {"migrations": {"mode": "job"}}, "choose init or off"),
        (
            "demo",
            {"secrets": {"keys": {"adminToken": ""}, "values": {"adminToken": "x"}}},
            "would not be used",
        ),
        ("minimal", {"rules": {"existingConfigMap": ""}}, "There are no rules"),
        ("minimal", {"mode": "live", "rules": {"existingConfigMap": ""}}, "in mode live"),
        ("production", {"rules": {"existingConfigMap": "x"}}, "both set"),
        ("production", {"shadowRules": {"existingConfigMap": "x"}}, "shadowRules.files and"),
        ("production", {"ingress": {"host": ""}}, "ingress.host"),
        ("production", {"secrets": {"keys": {"evidenceToken": ""}}}, "evidence token"),
        ("production", {"secrets": {"keys": {"adminToken": ""}}}, "admin token"),
        ("demo", {"ingress": {"enabled": True, "host": "a.example.org", "dashboard": True}}, "admin token"),
        ("autoscaling", {"web": {"autoscaling": {"minReplicas": 9}}}, "above maxReplicas"),
        ("minimal", {"podDisruptionBudget": {"maxUnavailable": 2}}, "it would keep none"),
        ("production", {"monitoring": {"podMonitor": {"enabled": True}}}, "counted twice"),
        ("minimal", {"preStopSeconds": 60}, "terminationGracePeriodSeconds"),
        (
            "minimal",
            {"extraEnv": [{"name": "AUTOREVIEW_MODE", "value": "live"}]},
            "AUTOREVIEW_MODE: leave it out",
        ),
        ("minimal", {"sweepEvery": "0s"}, "sweepEvery is 0s"),
        ("minimal", {"inboxRetention": "30m"}, "inboxRetention is 30m: from 1h"),
        ("minimal", {"ingress": {"evidence": True}}, "route nothing without an ingress"),
        ("minimal", {"ingress": {"dashboard": True}}, "route nothing without an ingress"),
        ("minimal", {"extraVolumes": [{"name": "rules", "emptyDir": {}}]}, "extraVolumes names rules"),
        (
            "minimal",
            {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            "twice: keep one of them",
        ),
        ("minimal", {"extraVolumes": [{"name": "a", "emptyDir": {}}] * 2}, "twice: keep one of them"),
        (
            "minimal",
            {"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}] * 2},
            "twice: keep one of them",
        ),
    ],
)
def test_contradicting_values_are_refused_with_a_message(
    values: str, changes: dict[str, Any], said: str
) -> None:
    assert said in refusal(ci(values, **changes))


@pytest.mark.parametrize("missing", INLINE)
def test_inline_secrets_must_be_complete(missing: str) -> None:
    changed = ci("demo")
    del changed["secrets"]["values"][missing]
    assert f"secrets.values.{missing} is not set" in refusal(changed)


def test_contradicting_values_are_all_reported_at_once() -> None:
    said = refusal({})
    for what in ("image.repository", "There are no secrets", "There are no rules"):
        assert what in said


def test_every_refusal_of_the_chart_has_a_test() -> None:
    template = (FOLDER / "templates" / "validate.yaml").read_text(encoding="utf-8")
    (tried,) = [
        mark.args[1]
        for mark in getattr(test_contradicting_values_are_refused_with_a_message, "pytestmark", [])
        if mark.name == "parametrize"
    ]
    alone = 1  # a missing inline secret
    shared = 1  # one sentence for both durations
    assert template.count("$wrong = append $wrong") == len({case[2] for case in tried}) + alone - shared
