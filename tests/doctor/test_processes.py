"""Doctor and our processes: which one is missing, which lane no worker serves, which one runs another release."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.core.processes import RELEASE
from app.doctor import processes
from app.services import Services
from app.settings import Settings
from app.store.lanes.lanes import lane_role
from app.store.processes import presence
from harness.servers import Web, eventually, free_port


def test_presence_is_the_server_s_time(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes on hosts whose clocks differ by an hour are seen all the same."""
    services.store.presence.here("relay")
    for seconds in (3600, -3600):
        monkeypatch.setattr(time, "time", lambda s=seconds: time.monotonic() + s)
        monkeypatch.setattr(time, "time_ns", lambda s=seconds: int((time.monotonic() + s) * 1e9))
        assert services.store.presence.seen("relay") == 1
        services.store.presence.here("worker")
        assert services.store.presence.seen("worker") == 1
    services.store.db.client.zadd(services.store.db.key("presence", "relay"), {"other": 0})
    assert services.store.presence.seen("relay") == 1


def test_processes_are_counted(services: Services) -> None:
    """By role; a missing role is a failure that says what to do."""
    levels = {one.what: (one.level, bool(one.todo)) for one in processes.processes(services)}
    assert levels == {"relay": ("fail", True), "worker": ("fail", True)}
    services.store.presence.here("relay")
    found = {one.what: one for one in processes.processes(services)}
    assert (found["relay"].level, found["relay"].said) == ("ok", "1 running")
    assert found["worker"].level == "fail"


def test_a_lane_that_no_worker_serves_is_named_with_its_command(services: Services) -> None:
    """A relay declares the lanes. Once a worker serves the lane there is no finding; a paused lane is a warning."""
    services.store.lanes.declare(["default", "slow"])
    services.store.presence.here("worker", lane_role("default"))
    (found,) = processes.lanes(services)
    assert (found.level, found.what) == ("fail", "lane slow")
    assert "--queues slow" in found.todo
    services.store.presence.here("worker", lane_role("slow"))
    assert list(processes.lanes(services)) == []
    services.store.lanes.pause("slow", "ops")
    (paused,) = processes.lanes(services)
    assert (paused.level, "by ops" in paused.said, "lanes resume slow" in paused.todo) == ("warn", True, True)


def test_processes_of_another_release_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each role with its release and count, also those of a release that did not report one."""
    ours, theirs = Services.open(settings, timeout=5), Services.open(settings, timeout=5)
    ours.store.presence.here("relay", "worker")
    (found,) = processes.releases(ours)
    assert (found.level, RELEASE in found.said) == ("ok", True)
    monkeypatch.setattr(presence, "RELEASE", "1.9.0")
    Services.open(settings, timeout=5).store.presence.here("worker")
    now = ours.store.db.client.time()[0] * 1000
    theirs.store.db.client.zadd(ours.store.db.key("presence", "relay"), {"host-1": now})
    (found,) = processes.releases(ours)
    assert found.level == "warn"
    assert f"this command is {RELEASE}" in found.said
    assert "worker 1.9.0 (1)" in found.said and "relay of an earlier release (1)" in found.said
    assert "upgrade" in found.todo


def test_a_web_process_reports_its_release(settings: Settings, services: Services, tmp_path: Path) -> None:
    """As relays and workers do; doctor looks at every role."""
    with Web(settings, free_port(), tmp_path):
        eventually(lambda: services.store.presence.releases("web")[RELEASE] > 0, "a web process to report")
    (found,) = processes.releases(services)
    assert found.level == "ok"
