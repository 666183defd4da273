"""What doctor finds out about our own parts: handlers, durability, keys, refusals."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.clock import now_ms, rfc3339
from app.core.tokens import CallbackKey
from app.doctor import installation, processes
from app.doctor.finding import Finding
from app.services import Services
from app.settings import Settings
from app.store.refusals.refusal import Refusal
from app.store.submissions.submissions import Submission
from harness.servers import ROOT, free_port
from tests.cli.submit.conftest import command


def test_handlers_that_cannot_be_imported(settings: Settings, tmp_path: Path) -> None:
    """Doctor imports them in a process with a worker's environment, and names the module and its error."""
    (tmp_path / "broken_handlers.py").write_text("import nothing_of_that_name\n")
    argv, variables = command(settings, "doctor", HANDLERS="broken_handlers", PYTHONPATH=str(tmp_path))
    done = subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if "HANDLERS" in line)
    assert "FAIL" in line
    assert "broken_handlers" in line


def test_an_open_refusal_is_a_warning_that_names_its_reason(services: Services) -> None:
    """An operator should look at it; once it is dismissed there is no warning."""
    assert [one.level for one in installation.open_refusals(services)] == ["ok"]
    services.store.refusals.note(Refusal("binding_mismatch", "no", "t", {}, ("j3",), body=b"x"))
    (found,) = installation.open_refusals(services)
    assert found.level == "warn"
    assert "1 open" in found.said and "binding_mismatch" in found.said
    assert "flask refusals" in found.todo


def test_an_installation_without_api_keys(services: Services) -> None:
    """A warning: callbacks are stored, and no client can read them."""
    assert [one.level for one in installation.keys(services)] == ["warn"]
    services.store.api_keys.create("a", frozenset({"read"}))
    assert [(one.level, one.said) for one in installation.keys(services)] == [("ok", "1")]


def test_a_callback_key_that_open_jobs_need(services: Services, settings: Settings) -> None:
    """Without it their callbacks are refused: it is named, with the number of jobs, before a restart fails."""
    assert [(one.level, one.said) for one in installation.callback_keys(services)] == [
        ("ok", "k1: all that open jobs need")
    ]
    now = rfc3339(now_ms())
    for each in ("s1", "s2"):
        services.store.submissions.create(Submission(each, "sending", now, now, "own", "b", "r", key_id="k1"))
    other = CallbackKey("k2", settings.callback_keys[0][1])
    chosen = settings.model_copy(update={"callback_keys": (other,)})
    (found,) = installation.callback_keys(Services.open(chosen, timeout=5))
    assert (found.level, "k1 (for 2)" in found.said) == ("fail", True), found
    withdrawn = chosen.model_copy(update={"callback_keys_withdrawn": ("k1",)})
    assert [one.level for one in installation.callback_keys(Services.open(withdrawn, timeout=5))] == ["ok"]


@pytest.mark.parametrize(
    ("level", "found", "word"),
    [("process", "ok", "process"), ("fsync", "warn", "appendfsync"), ("replicated", "warn", "replica")],
)
def test_durability_is_what_this_redis_can_give(
    settings: Settings, level: str, found: str, word: str
) -> None:
    """A warning for `fsync` if the file is synced once a second only, and for `replicated` without a replica."""
    chosen = Services.open(settings.model_copy(update={"durability": level}), timeout=5)
    (one,) = installation.durability(chosen)
    assert (one.level, word in one.said) == (found, True), one


@pytest.mark.parametrize(
    "check",
    [
        processes.processes,
        processes.lanes,
        processes.releases,
        installation.durability,
        installation.callback_keys,
        installation.keys,
        installation.open_refusals,
    ],
    ids=lambda check: str(check.__name__),
)
def test_an_unavailable_redis_is_reported_once(
    check: Callable[[Services], Iterator[Finding]], settings: Settings
) -> None:
    """By the check of Redis itself: checks that need Redis report nothing, and none raises."""
    away = settings.model_copy(
        update={"redis_url": f"redis://127.0.0.1:{free_port()}", "durability": "fsync"}
    )
    assert list(check(Services.open(away, timeout=1))) == []
