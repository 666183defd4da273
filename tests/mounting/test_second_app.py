"""A second module called ``app`` (or ``server``, ``workers``) in front of ours is named where a process starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings
from harness.servers import ROOT, Valkey, as_environment, free_port
from harness.settings import make_settings

PYTHON = sys.executable
GUNICORN = [
    PYTHON,
    str(Path(PYTHON).with_name("gunicorn")),
    "--config",
    "gunicorn.conf.py",
    "app:create_app()",
]
FLASK = [PYTHON, "-m", "flask", "--app", "ci_callback_receiver", "routes"]

STARTS = {
    "gunicorn": GUNICORN,
    "worker": [PYTHON, "-m", "workers.worker"],
    "relay": [PYTHON, "-m", "workers.relay"],
    "flask": FLASK,
    "submitter": [PYTHON, "-c", "from ci_callback_receiver.submitter import Submitter"],
    "handlers": [PYTHON, "-c", "from workers.handlers import handler"],
}


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    return make_settings(valkey.url)


def mine(folder: Path, name: str) -> Path:
    """A module of the user's own: a file, or a package for ``app/``."""
    path = folder / name
    if name.endswith("/"):
        path.mkdir()
        path = path / "__init__.py"
    path.write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    return path


def folder_of(process: str, own: Path) -> Path:
    """Where it starts: in the checkout; ``flask``, which puts that first on the path, in the user's own folder."""
    return own if process == "flask" else ROOT


def start(command: list[str], settings: Settings, cwd: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | as_environment(settings) | {"PORT": str(free_port()), "HOST": "127.0.0.1"}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("name", ["app.py", "app/"])
@pytest.mark.parametrize("process", STARTS)
def test_a_second_app_in_front_is_named(process: str, name: str, settings: Settings, tmp_path: Path) -> None:
    """With a PYTHONPATH on which the user's own stands first: which file it is, and what to do."""
    own = mine(tmp_path, name)
    done = start(STARTS[process], settings, folder_of(process, tmp_path), tmp_path, ROOT)
    assert done.returncode
    said = done.stdout + done.stderr
    assert "second package called 'app'" in said
    assert str(own.parent if name.endswith("/") else own) in said
    assert "Rename yours" in said
    assert "is not a package" not in said


@pytest.mark.parametrize("process", ["gunicorn", "worker", "relay", "flask"])
def test_a_start_says_it_once_without_a_traceback_of_ours(
    process: str, settings: Settings, tmp_path: Path
) -> None:
    """The operator reads one sentence, not the way that Python took to it."""
    mine(tmp_path, "app.py")
    done = start(STARTS[process], settings, folder_of(process, tmp_path), tmp_path, ROOT)
    said = done.stdout + done.stderr
    assert said.count("second package") == 1
    assert len(said.splitlines()) < 40


@pytest.mark.parametrize("name", ["server.py", "workers/"])
def test_the_other_general_names_are_named_too(name: str, settings: Settings, tmp_path: Path) -> None:
    """A ``server.py`` would keep even gunicorn's configuration from being read."""
    mine(tmp_path, name)
    done = start(GUNICORN, settings, ROOT, tmp_path, ROOT)
    assert done.returncode == 1
    assert f"second package called {name.strip('/').removesuffix('.py')!r}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_folder_of_the_start_counts(settings: Settings, tmp_path: Path) -> None:
    """``gunicorn`` in a folder with an app.py, our packages further back on the path, as they are when installed."""
    mine(tmp_path, "app.py")
    shutil.copy(ROOT / "gunicorn.conf.py", tmp_path)
    done = start(GUNICORN, settings, tmp_path, ROOT)
    assert done.returncode == 1
    assert str(tmp_path / "app.py") in done.stderr


def test_a_package_that_does_not_hide_ours_is_allowed(settings: Settings, tmp_path: Path) -> None:
    """A folder called app without a module in it, and an app.py further back."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "app").mkdir()
    (tmp_path / "last").mkdir()
    mine(tmp_path / "last", "app.py")
    path = (tmp_path / "first", ROOT, tmp_path / "last")
    for process in ("flask", "submitter", "handlers"):
        done = start(STARTS[process], settings, tmp_path, *path)
        assert done.returncode == 0, done.stderr


def test_the_start_in_the_checkout_finds_ours_first(settings: Settings, tmp_path: Path) -> None:
    """``flask --app app`` from the root puts the root first, so that a PYTHONPATH does not matter."""
    mine(tmp_path, "app.py")
    done = start([PYTHON, "-m", "flask", "--app", "app", "routes"], settings, ROOT, tmp_path, ROOT)
    assert "/callbacks/" in done.stdout, done.stderr
