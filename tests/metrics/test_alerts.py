"""The alerts fire for the faults that they name, and lead to the runbook: with a real Prometheus."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import Emulator, Valkey, eventually
from tests import prometheus as installed
from tests.metrics.watched import ALERTS, Prometheus, Watched
from tests.receiver.callbacks import a_token, body, post

RULES = ALERTS.read_text()
NAMES = re.findall(r"- alert: (\w+)", RULES)


@pytest.fixture(autouse=True)
def prometheus_is_there() -> None:
    if not installed.is_there():
        pytest.fail(installed.MISSING, pytrace=False)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    folder = tmp_path / "own"
    folder.mkdir()
    with Valkey(folder) as server:
        yield server


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong() -> None:
    """Neither in the rules nor in what they are to answer to given series."""
    promtool("check", "rules", str(ALERTS))
    promtool("check", "config", str(ALERTS.with_name("prometheus.yml")))
    promtool("test", "rules", str(ALERTS.with_name("alerts_test.yml")))


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_tested_firing_and_silent(name: str) -> None:
    """A rule that never fires, or always does, has no such pair."""
    tests = ALERTS.with_name("alerts_test.yml").read_text()
    assert f"name: {name} fires" in tests
    assert f"name: {name} stays silent" in tests


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_names_its_paragraph_of_the_runbook(name: str) -> None:
    """The anchor is the alert's name in lower case with hyphens."""
    (rule,) = (each for each in RULES.split("- alert: ")[1:] if each.startswith(f"{name}\n"))
    anchor = re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower()
    assert f"runbook_url: docs/runbook.md#{anchor}\n" in rule
    assert re.search(r"severity: (warning|critical)\n", rule)


def test_a_dead_relay_is_seen(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> None:
    """Nothing fires at first; an alert fires once the relay is killed."""
    with Watched(valkey, emulator, tmp_path) as watched, Prometheus(watched, tmp_path) as prometheus:
        eventually(lambda: len(prometheus.ask("up == 1")) == 3, "Prometheus to read all three")
        eventually(
            lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), "the rules to be evaluated"
        )
        assert {rule["name"] for rule in prometheus.rules()} == set(NAMES)
        assert prometheus.firing() == set()
        watched.relay.kill()
        eventually(lambda: prometheus.firing() == {"RelayMissing"}, lambda: str(prometheus.rules()))


def test_the_first_burst_of_lost_callbacks_is_seen(
    own_valkey: Valkey, emulator: Emulator, tmp_path: Path
) -> None:
    """Without a spool, while Redis is away: callbacks get 503, and the alert fires although the series was 0
    before."""
    with Watched(own_valkey, emulator, tmp_path) as watched, Prometheus(watched, tmp_path) as prometheus:
        burst = 'sum(increase(ci_refusals_total{reason="store_unavailable"}[10m]))'
        eventually(lambda: prometheus.ask(burst), "two scrapes")
        assert "CallbacksNotStored" not in prometheus.firing()
        own_valkey.kill()
        for _ in range(5):
            assert post(watched.url, a_token(watched.settings), body()).status_code == 503
        eventually(lambda: "CallbacksNotStored" in prometheus.firing(), lambda: str(prometheus.rules()))
