"""``python -m workers.health``, the check of a container: one line and an exit code for each role."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.servers import ROOT, Emulator, Service, Valkey, eventually, free_port
from harness.settings import make_settings
from workers.health import report_here

Said = tuple[int, str]


def health(folder: Path, *arguments: str, **environment: str) -> Said:
    """Exit code and output, in a container whose temporary folder is ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "workers.health", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len((done.stdout + done.stderr).splitlines()) == 1
    return done.returncode, done.stdout + done.stderr


def is_well(folder: Path, role: str, **environment: str) -> bool:
    return health(folder, role, **environment)[0] == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tmp"
    path.mkdir()
    return path


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server


@pytest.fixture
def service(own_valkey: Valkey, emulator: Emulator, tmp_path: Path, folder: Path) -> Iterator[Service]:
    settings = make_settings(own_valkey.url, ci_endpoint=emulator.url)
    variables = {"TMPDIR": str(folder), "WEB_CONCURRENCY": "1"}
    with Service(settings, free_port(), tmp_path, **variables) as running:
        yield running


def test_each_process_that_runs_is_healthy(service: Service, folder: Path) -> None:
    """The web service is checked by HTTP, relay and worker by their reports."""
    eventually(partial(is_well, folder, "web", PORT=str(service.port)), "the web service to answer")
    eventually(
        lambda: health(folder, "relay") == (0, "relay: all loops are running\n"), "the relay to report"
    )
    eventually(
        lambda: health(folder, "worker") == (0, "worker: 2 of 2 processes run\n"), "the worker to report"
    )


def test_a_process_that_has_died_is_unhealthy(service: Service, folder: Path) -> None:
    """Its last report does not count."""
    for process, role in ((service.relay, "relay"), (service.worker, "worker")):
        eventually(partial(is_well, folder, role), "it to report")
        process.kill()
        code, line = health(folder, role)
        assert code == 1
        assert f"{role}: no process reports to" in line
    service.web.clear()
    code, line = health(folder, "web", PORT=str(service.port))
    assert code == 1
    assert f":{service.port}/healthz does not answer" in line


def test_a_process_that_hangs_is_unhealthy(service: Service, folder: Path) -> None:
    """The process is alive, but its last report is more than half a minute old."""
    eventually(lambda: health(folder, "relay")[0] == 0, "it to report")
    service.relay.signal(signal.SIGSTOP)
    (report,) = folder.glob("*/relay-*[0-9]")
    # As if half a minute had passed.
    at, _, line = report.read_text().partition(" ")
    report.write_text(f"{float(at) - 31} {line}")
    code, said = health(folder, "relay")
    service.relay.signal(signal.SIGCONT)
    assert code == 1
    assert "restart it" in said
    eventually(lambda: health(folder, "relay")[0] == 0, "it to go on")


def test_an_outage_of_redis_is_reported_and_no_reason_for_a_restart(
    service: Service, own_valkey: Valkey, folder: Path
) -> None:
    eventually(lambda: health(folder, "relay")[0] == 0, "it to report")
    own_valkey.kill()
    eventually(lambda: "Redis is away" in health(folder, "relay")[1], "the outage")
    for role in ("web", "worker", "relay"):
        eventually(partial(is_well, folder, role, PORT=str(service.port)), f"{role} to be well")
    own_valkey.start()
    eventually(lambda: "all loops are running" in health(folder, "relay")[1], "the outage to end")


def test_without_an_argument_the_check_finds_the_role_that_runs_here(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    """One image has one check for all roles, since a container has one process."""
    eventually(lambda: health(folder)[1].startswith("relay: "), "the relay")
    service.relay.kill()
    eventually(lambda: health(folder)[1].startswith("worker: "), "the worker")
    empty = tmp_path / "empty"
    empty.mkdir()
    answers = f"web: http://127.0.0.1:{service.port}/healthz answers\n"
    eventually(lambda: health(empty, PORT=str(service.port)) == (0, answers), "the web service")


def test_the_first_report_of_a_process_removes_those_of_dead_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host without containers, where no check reads them, they would accumulate."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    report = "from workers.health import report_here; report_here('relay', 'all its loops run')"
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", report], cwd=ROOT, env=os.environ | {"TMPDIR": str(folder)}, check=True
        )
    report_here("relay", "all its loops run")
    assert [path.name for path in folder.glob("*/*")] == [f"relay-{os.getpid()}"]


def _is_link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def _is_writable(path: Path, _: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def _is_file(path: Path, _: Path) -> None:
    path.touch()


def _is_of_another_user(path: Path, _: Path) -> None:
    path.mkdir(mode=0o777)
    os.chown(path, 12345, -1)


@pytest.mark.parametrize(
    "made",
    [
        _is_link,
        _is_writable,
        _is_file,
        pytest.param(
            _is_of_another_user,
            marks=pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away"),
        ),
    ],
)
def test_a_folder_that_another_user_made_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path, Path], None]
) -> None:
    """Nothing is written there, nothing there is believed, and the check names it."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = folder / f"ci-callback-receiver-{os.getuid()}"
    made(path, elsewhere)
    report_here("relay", "all loops are running")
    assert not list(elsewhere.iterdir()) and not list(folder.glob("*/*"))
    if path.is_dir():
        (path / f"relay-{os.getpid()}").write_text("1e12 planted")
    for role in (["relay"], []):
        code, line = health(folder, *role)
        assert code == 1
        assert f"{path} is not a folder that only this user can write" in line


def test_a_report_is_written_through_no_link(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even through one in the folder itself: what it leads to stays as it is."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    report_here("relay", "all loops are running")
    (report,) = folder.glob("*/*")
    report.with_suffix(".new").symlink_to(victim)
    report_here("relay", "still running")
    assert victim.read_text() == "untouched"
    assert report.read_text().endswith(" still running")
    assert not report.is_symlink()


def test_a_wrong_role_is_named(folder: Path) -> None:
    assert health(folder, "waiter") == (2, "usage: python -m workers.health [web|worker|relay]\n")


def test_the_check_imports_no_library() -> None:
    """A container runs the check every few seconds, so it must cost little."""
    # Without site-packages an import of a library fails.
    code = "import workers.health"
    command = [sys.executable, "-S", "-c", code]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
