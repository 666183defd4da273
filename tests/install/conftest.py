"""One installation for all tests here: the lock and the product, in a virtual environment of another Python."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import ROOT

# Debian's own first: it is what most servers have.
_PYTHONS = ("/usr/bin/python3", *(f"python3.{minor}" for minor in range(11, 20)))
_LEFT_OUT = shutil.ignore_patterns(".*", "var", "build", "*.egg-info", "__pycache__")


class Installation:
    """A virtual environment, and an empty folder to work from."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "venv" / "bin" / "python"
        self.empty = folder / "empty"
        self.prefix = folder / "venv"

    def run(self, *arguments: str, **environment: str) -> str:
        """Run a program of this environment and return its output; an error fails the test with all output."""
        command = [str(self.python.with_name(arguments[0])), *arguments[1:]]
        return run(command, cwd=self.empty, environment=environment)


def run(command: list[str], cwd: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def uv() -> str:
    """The path of uv, a development requirement, beside the Python that runs the tests."""
    return str(Path(sys.executable).with_name("uv"))


def other_python() -> str:
    """The first Python of another version than that of the tests, Debian's own first; else that of the tests."""
    for name in _PYTHONS:
        path = shutil.which(name)
        version = _version(path) if path else None
        if path and version and version >= (3, 11) and version != sys.version_info[:3]:
            return path
    return sys.executable


def _version(python: str) -> tuple[int, ...] | None:
    asked = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:3])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tuple(map(int, asked.stdout.split())) if asked.returncode == 0 else None


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Made once, by the first of pytest's processes that needs it."""
    folder = tmp_path_factory.getbasetemp().parent / "installation"
    folder.mkdir(exist_ok=True)
    made = folder / "made"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _install(folder)
            made.touch()
    yield Installation(folder)


def _install(folder: Path) -> None:
    """Install the lock as the README says, with the Python's own pip, then our package from a copy of the checkout."""
    shutil.rmtree(folder / "venv", ignore_errors=True)
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=_LEFT_OUT, dirs_exist_ok=True)
    # A checkout has this folder after `make run`.
    (checkout / "var").mkdir(exist_ok=True)
    (folder / "empty").mkdir(exist_ok=True)
    python = other_python()
    if subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
        run([python, "-m", "venv", str(folder / "venv")])
    else:
        run([uv(), "venv", "--quiet", "--seed", "--python", python, str(folder / "venv")])
    pip = [
        str(folder / "venv" / "bin" / "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    run([*pip, "--require-hashes", "-r", "requirements.txt"], cwd=checkout)
    locked = run([*pip[:-2], "freeze"])
    run([*pip, "."], cwd=checkout)
    (folder / "locked.txt").write_text(locked)
