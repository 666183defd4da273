"""The metrics folders of killed web services are removed, and those in use are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from harness.servers import Valkey, Web, eventually, free_port
from harness.settings import make_settings
from server import metrics_folder

HOLD = """
import os, signal, sys
from server import metrics_folder
path = metrics_folder.make(sys.argv[1])
forked = os.fork()
if not forked:
    signal.pause()
print(path, forked, flush=True)
signal.pause()
"""
"""A master with one worker."""


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("ci-metrics-*")}


def test_a_start_removes_what_a_killed_service_left(valkey: Valkey, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    web = Web(make_settings(valkey.url), free_port(), tmp_path, WEB_CONCURRENCY="1", TMPDIR=str(folder))
    with web:
        first = _names(folder)
    assert len(first) == 1
    with web:
        second = _names(folder)
        assert len(second) == 1 and not first & second
        assert "ci_callbacks_total" in web.call("GET", "/metrics").text
        assert web.web.stop() == 0
    assert not _names(folder)


def test_a_folder_is_in_use_until_the_last_worker_of_a_killed_master_has_ended(tmp_path: Path) -> None:
    master = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert master.stdout is not None
        used, worker = master.stdout.readline().split()
        master.kill()
        master.wait()
        metrics_folder.make(str(tmp_path))
        assert Path(used).exists()

        os.kill(int(worker), signal.SIGKILL)

        def removed() -> bool:
            metrics_folder.make(str(tmp_path))
            return not Path(used).exists()

        eventually(removed, "the kernel to end the worker, and its lock")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(master.pid, signal.SIGKILL)


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    """Neither another program's folder, nor a file, nor what a link leads to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    prefix = f"ci-metrics-{os.getuid()}-"
    (tmp_path / "ci-metrics-abcdefgh").mkdir()
    (tmp_path / f"{prefix}file").write_text("")
    (tmp_path / f"{prefix}link").symlink_to(elsewhere)
    before = set(tmp_path.iterdir())
    made = Path(metrics_folder.make(str(tmp_path)))
    assert set(tmp_path.iterdir()) == before | {made}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / f"ci-metrics-{os.getuid()}-foreign1"
    foreign.mkdir()
    os.chown(foreign, 10001, 10001)
    metrics_folder.make(str(tmp_path))
    assert foreign.exists()


def test_one_start_removes_a_bounded_number_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_folder, "_LEFT_MAX", 2)
    left = [tmp_path / f"ci-metrics-{os.getuid()}-left{number}" for number in range(4)]
    for each in left:
        each.mkdir()
        (each / "counter_1.db").write_bytes(b"\0")
    metrics_folder.make(str(tmp_path))
    assert sum(each.exists() for each in left) == 2
    metrics_folder.make(str(tmp_path))
    assert sum(each.exists() for each in left) == 0


def test_a_new_folder_that_another_start_has_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is locked, a new folder looks like that of a killed service."""
    real = tempfile.mkdtemp
    taken: list[str] = []

    def slow(*, prefix: str, dir: str) -> str:  # noqa: A002 - mkdtemp's own
        path: str = real(prefix=prefix, dir=dir)
        if not taken:
            taken.append(path)
            assert metrics_folder.make(dir) != path
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", slow)
    made = metrics_folder.make(str(tmp_path))
    assert Path(made).exists() and not Path(taken[0]).exists()
