"""``make run`` in a copy of the checkout, in a folder with a space in its name."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from harness.servers import PATIENCE_S, ROOT, Process, eventually, free_port
from tests.docs.conftest import BEING_WRITTEN


class Checkout:
    """A copy of the sources with ports of its own, and the stack in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a checkout"
        for name in ("app", "ci_callback_receiver", "emulator", "server", "workers", "stack"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=BEING_WRITTEN)
        for name in ("Procfile", "gunicorn.conf.py"):
            shutil.copy(ROOT / name, self.folder / name)
        self.port, self.emulator_port = free_port(), free_port()
        clean = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "PUBLIC_URL"}}
        self.environment = clean | {"PORT": str(self.port), "EMULATOR_PORT": str(self.emulator_port)}
        self.runs = 0

    def start(self) -> Process:
        process = self.begin()
        eventually(lambda: "stop with Ctrl-C" in process.text(), lambda: f"ready: {process.text()}")
        return process

    def begin(self) -> Process:
        self.runs += 1
        process = Process(
            [sys.executable, "-m", "stack"], self.folder / f"run-{self.runs}.log", self.environment
        )
        process.cwd = self.folder
        process.start()
        return process

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def end(self, run: Process, how: str) -> None:
        """Stop it by Ctrl-C or ``make stop``: the exit code is 0, no error is shown, no process is left."""
        if how == "Ctrl-C":
            run.signal(signal.SIGINT)
        else:
            stop = [sys.executable, "-m", "stack", "stop"]
            subprocess.run(stop, cwd=self.folder, env=self.environment, timeout=300, check=True)
        assert run.popen is not None
        assert run.popen.wait(PATIENCE_S) == 0, run.text()
        assert "has died" not in run.text() and "Not ready" not in run.text()
        eventually(lambda: not self.leftovers(), lambda: f"no process to be left: {self.leftovers()}")

    def programs(self) -> dict[str, int]:
        """The process id of each program, by its name."""
        log = (self.folder / "var" / "log" / "runner.log").read_text()
        return {name: int(pid) for name, pid in re.findall(r"spawned: '(\w+)' with pid (\d+)", log)}

    def leftovers(self) -> list[psutil.Process]:
        mine = str(self.folder)
        return [p for p in psutil.process_iter() if _runs_in(p, mine)]


def _runs_in(process: psutil.Process, folder: str) -> bool:
    try:
        return process.cwd() == folder and process.pid != os.getpid()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    copy = Checkout(tmp_path)
    yield copy
    for process in copy.leftovers():
        process.kill()


def test_make_run(checkout: Checkout) -> None:
    """One command starts everything; its job ends; commands need no settings; a second start finds the jobs."""
    first = checkout.start()
    command = re.search(r"curl -s -H 'Authorization: Bearer (\S+)' '(\S+)'", first.text())
    assert command, first.text()
    headers = {"Authorization": f"Bearer {command[1]}"}

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = requests.get(command[2], headers=headers, timeout=90).json()
        return found if found["terminal"] else None

    job = eventually(ended, "the job to end")
    assert job["state"] == "Success"
    assert sorted(output["role"] for output in job["outputs"]) == ["background", "vocals"]

    shown = checkout.flask("jobs", "show", job["job_id"], "--json")
    assert json.loads(shown.stdout)["job_id"] == job["job_id"], shown.stderr
    submitted = checkout.flask(
        *(
            "submit",
            "voice-separate",
            "--input-object",
            "in/a.mp3",
            "--audio-mode",
            "IsAudio",
            "--codec",
            "mp3",
        ),
        *("--au-object", "out/a.mp3", "--json"),
    )
    assert submitted.returncode == 0, submitted.stderr
    waited = checkout.flask("jobs", "wait", json.loads(submitted.stdout)["job_id"], "--json")
    assert (waited.returncode, json.loads(waited.stdout)["state"]) == (0, "Success")

    second = Process([sys.executable, "-m", "stack"], checkout.folder / "second.log", checkout.environment)
    second.cwd = checkout.folder
    second.start()
    assert second.popen is not None
    assert second.popen.wait(PATIENCE_S) != 0
    assert "running already" in second.text()

    checkout.end(first, "Ctrl-C")

    again = checkout.start()
    listed = json.loads(checkout.flask("jobs", "list", "--json").stdout)
    assert {job["job_id"], json.loads(submitted.stdout)["job_id"]} <= {
        each["job_id"] for each in listed["jobs"]
    }
    checkout.end(again, "make stop")


@pytest.mark.parametrize("how", ["Ctrl-C", "make stop"])
def test_a_stop_during_the_start_shows_no_error(checkout: Checkout, how: str) -> None:
    """``make run`` ends with code 0, and its terminal shows no error."""
    run = checkout.begin()
    eventually(lambda: "starting" in run.text(), "the moment")
    checkout.end(run, how)


def test_a_killed_process_is_started_again_and_a_killed_runner_ends_the_run(checkout: Checkout) -> None:
    """After ``kill -9`` each program is restarted, and a line says so; if the runner is killed, no process is left."""
    run = checkout.start()
    before = checkout.programs()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: all(checkout.programs()[name] != pid for name, pid in before.items()),
        "new processes",
    )
    ready = f"http://127.0.0.1:{checkout.port}/readyz"
    eventually(lambda: _status(ready) == "ok", "the service to be whole again")
    eventually(lambda: "terminated by SIGKILL" in run.text(), "a word about it")

    stack_env = (checkout.folder / "var" / "stack.env").read_text()
    runner = re.search(r"STACK_PID='(\d+)'", stack_env)
    assert runner
    os.kill(int(runner[1]), signal.SIGKILL)
    assert run.popen is not None
    assert run.popen.wait(PATIENCE_S) == 1
    assert "runner has died" in run.text()
    eventually(lambda: not checkout.leftovers(), lambda: f"no process to be left: {checkout.leftovers()}")


def _status(url: str) -> str | None:
    try:
        status: str = requests.get(url, timeout=5).json()["status"]
    except (requests.RequestException, ValueError):
        return None
    return status
