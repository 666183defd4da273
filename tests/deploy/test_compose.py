"""compose.yaml: each rule that an operator relies on."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deploy.image.dockerfile import read_stages
from harness.servers import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_read_only_with_one_tmpfs_and_no_capability(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_a_health_check_and_is_started_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("role", ["web", "worker", "relay"])
def test_a_role_is_asked_by_its_name_and_waits_for_valkey(role: str) -> None:
    assert SERVICES[role]["healthcheck"]["test"][1:] == ["python", "-m", "workers.health", role]
    assert SERVICES[role]["depends_on"] == {"valkey": {"condition": "service_healthy"}}


def test_prometheus_finds_the_metrics_of_each_role() -> None:
    """In the network of compose, by the names of the services: deploy/prometheus/prometheus.yml."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"]}
    assert {role: (job["names"], job["port"]) for role, job in jobs.items()} == {
        "web": (["web"], 8000),
        **{
            role: ([role], int(SERVICES[role]["environment"]["METRICS_PORT"])) for role in ("worker", "relay")
        },
    }


def test_valkey_syncs_each_write_to_a_volume_and_evicts_nothing() -> None:
    words = SERVICES["valkey"]["command"].split()
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options == {
        "--appendonly": "yes",
        "--appendfsync": "always",
        "--maxmemory-policy": "noeviction",
    }
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_the_spool_is_on_a_volume_that_the_image_has_made_for_its_user() -> None:
    """A new volume takes owner and mode from the folder of the image that it covers."""
    folder = SERVICES["web"]["environment"]["SPOOL_DIR"]
    assert SERVICES["web"]["volumes"] == [f"spool:{folder}"]
    last = read_stages((ROOT / "Dockerfile").read_text())[-1]
    assert any(f"--owner=10001 --mode=700 {folder}" in step.text for step in last.steps)


def test_every_volume_is_declared_and_used() -> None:
    used = {each.split(":")[0] for service in SERVICES.values() for each in service.get("volumes", [])}
    assert {each for each in used if not each.startswith(".")} == set(COMPOSE["volumes"])


def test_only_the_web_service_is_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8000:8000"]}


def test_the_emulator_runs_only_by_its_profile() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"emulator"}
