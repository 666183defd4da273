"""The kustomize base: its schemas, and the rules that a schema does not know."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from app.core.processes import RELEASE
from app.settings import Settings
from harness.servers import ROOT

FOLDER = ROOT / "deploy/kubernetes"
RESOURCES: list[str] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
OBJECTS: list[dict[str, Any]] = [
    each for name in RESOURCES for each in yaml.safe_load_all((FOLDER / name).read_text())
]
VERSIONS = ("1.30", "1.37")
ROLES = {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] in {"StatefulSet", "Deployment"}}
REDIS_PORTS = {6379, 6380, 26379}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


def pod(role: str) -> dict[str, Any]:
    found: dict[str, Any] = ROLES[role]["spec"]["template"]["spec"]
    return found


def container(role: str) -> dict[str, Any]:
    (found,) = pod(role)["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_keeps_the_schema_of_kubernetes(version: str) -> None:
    # Its import compiles grammars for two seconds, which every process that collects the tests would spend.
    import kubernetes_validate  # noqa: PLC0415

    for each in OBJECTS:
        kubernetes_validate.validate(each, version, strict=True)


def test_every_file_is_in_the_base() -> None:
    assert {each.name for each in FOLDER.glob("*.yaml")} == {*RESOURCES, "kustomization.yaml"}


def test_kustomize_builds_the_base() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True
    ).stdout
    found = list(yaml.safe_load_all(built))
    assert len(found) == len(OBJECTS)
    images = re.findall(r"image: (\S+)", built)
    assert images == [f"registry.example.com/ci-callback-receiver:{RELEASE}"] * len(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_keeps_the_restricted_profile_and_a_read_only_root(role: str) -> None:
    assert pod(role)["securityContext"]["runAsNonRoot"] is True
    assert pod(role)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(role)["automountServiceAccountToken"] is False
    assert container(role)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"name": "tmp", "mountPath": "/tmp"} in container(role)["volumeMounts"]


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_names_the_memory_that_it_needs_and_its_bound(role: str) -> None:
    resources = container(role)["resources"]
    assert {"cpu", "memory"} <= resources["requests"].keys()
    assert "memory" in resources["limits"]


@pytest.mark.parametrize("role", ["worker", "relay"])
def test_a_role_without_http_is_asked_by_name(role: str) -> None:
    for probe in ("startupProbe", "livenessProbe"):
        assert container(role)[probe]["exec"]["command"] == ["python", "-m", "workers.health", role]


def test_a_web_pod_is_restarted_by_healthz_and_gets_callbacks_by_readyz() -> None:
    """By readyz none may be restarted: it fails while Redis is away and the spool is full."""
    probes = {
        name: container("web")[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


@pytest.mark.parametrize("role", ROLES)
def test_a_drain_takes_one_pod_of_a_role_at_a_time(role: str) -> None:
    budget = of_kind("PodDisruptionBudget")[role]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == ROLES[role]["spec"]["selector"]
    assert ROLES[role]["spec"]["replicas"] >= 2


def test_each_web_pod_has_a_spool_of_its_own_that_outlives_it() -> None:
    web = ROLES["web"]
    assert web["kind"] == "StatefulSet"
    assert set(web["spec"]["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = web["spec"]["volumeClaimTemplates"]
    mount = next(
        each for each in container("web")["volumeMounts"] if each["name"] == claim["metadata"]["name"]
    )
    (variable,) = container("web")["env"]
    assert variable["name"] == "SPOOL_DIR"
    assert variable["value"].startswith(f"{mount['mountPath']}/")


def test_every_setting_has_a_name_that_the_product_knows_and_no_secret_is_in_the_map() -> None:
    data = of_kind("ConfigMap")["receiver"]["data"]
    known = {name.upper() for name in Settings.model_fields} | {"LOG_FORMAT"}
    assert {name.removesuffix("_FILE") for name in data} <= known
    files = {value for name, value in data.items() if name.endswith("_FILE")}
    assert all(value.startswith("/run/secrets/receiver/") for value in files)
    secret = {"REDIS_URL", "COS_SECRET_ID", "COS_SECRET_KEY", "CALLBACK_KEYS"}
    assert {f"{name}_FILE" for name in secret} <= data.keys()
    assert not of_kind("Secret")


@pytest.mark.parametrize("role", ["worker", "relay"])
def test_a_role_without_http_serves_its_metrics_to_monitoring_alone(role: str) -> None:
    (container,) = of_kind("Deployment")[role]["spec"]["template"]["spec"]["containers"]
    (port,) = (each["value"] for each in container["env"] if each["name"] == "METRICS_PORT")
    assert container["ports"] == [{"name": "metrics", "containerPort": int(port)}]
    policy = of_kind("NetworkPolicy")["metrics-in"]["spec"]
    assert role in policy["podSelector"]["matchExpressions"][0]["values"]
    (way,) = policy["ingress"]
    assert way["ports"] == [{"port": "metrics"}]
    assert [each["namespaceSelector"]["matchLabels"] for each in way["from"]] == [
        {"kubernetes.io/metadata.name": "monitoring"}
    ]


def test_nothing_comes_in_but_to_the_web_port_and_nothing_goes_to_the_cloud_s_own_secrets() -> None:
    policies = {name: each["spec"] for name, each in of_kind("NetworkPolicy").items()}
    assert "ingress" not in policies["in"]
    assert [each["ports"] for each in policies["web-in"]["ingress"]] == [[{"port": "http"}]]
    reached = {port["port"] for each in policies["out"]["egress"] for port in each["ports"]}
    assert reached == {53, 443} | REDIS_PORTS
    (https,) = (each for each in policies["out"]["egress"] if {"port": 443} in each["ports"])
    assert https["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
