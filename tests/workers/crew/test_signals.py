"""A signal to stop that comes while a worker is forked reaches it: the crew ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.servers import PATIENCE_S, ROOT

CREW = """
import os, signal, sys
from harness.settings import make_settings
from workers.worker import crew

fork, signalled, before_fork = os.fork, [], sys.argv[1] == "before"

def stop():
    if not signalled:
        signalled.append(True)
        os.kill(os.getpid(), signal.SIGTERM)

def fork_with_signal():
    pid = fork()
    if (pid == 0) == (sys.argv[1] == "child"):
        stop()
    return pid

def work(*_):
    print("works", flush=True)
    while True:
        signal.pause()

class Crew(crew.Crew):
    def _fill(self):
        if before_fork:
            # Python performs a handler between two steps of the program: here, after the crew saw no signal.
            stop()
        super()._fill()

if not before_fork:
    os.fork = fork_with_signal
crew.member.work = work
sys.exit(Crew(make_settings("redis://127.0.0.1:1"), {"default": 1}).keep())
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "a_crew.py"
    path.write_text(CREW)
    return path


def crew(script: Path, who: str) -> subprocess.Popen[str]:
    """A crew in which that process gets SIGTERM as soon as it has forked or was forked."""
    return subprocess.Popen(
        [sys.executable, str(script), who],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("when", ["before", "parent"])
def test_a_crew_that_is_stopped_while_it_forks_ends(script: Path, when: str) -> None:
    """Else it would wait without end for a worker that knows of no signal."""
    with crew(script, when) as running:
        try:
            output, _ = running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()
    assert running.returncode == 0, output
    assert when == "parent" or "works" not in output


def test_a_worker_that_is_stopped_as_it_begins_ends(script: Path) -> None:
    """It does not keep the parent's handlers, which would pass the signal on to others."""
    with crew(script, "child") as running:
        try:
            assert running.stdout is not None
            assert "exited (-15)" in running.stdout.readline()
        finally:
            running.kill()
