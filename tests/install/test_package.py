"""The lock and ``pip install .``, with Debian's own Python where there is one, away from the checkout."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.settings import Settings
from harness.servers import ROOT, Emulator, Process, Service, Valkey, as_environment, free_port
from harness.settings import make_settings
from tests.install.conftest import Installation


class Installed(Service):
    """The processes of the Procfile from an installed package, without access to the checkout."""

    def __init__(self, installation: Installation, settings: Settings, port: int, folder: Path) -> None:
        super().__init__(settings, port, folder)
        variables = os.environ | as_environment(settings) | {"HOST": "127.0.0.1", "PORT": str(port)}
        python, config = (
            str(installation.python),
            installation.prefix / "share/ci-callback-receiver/gunicorn.conf.py",
        )
        commands = {
            "web": [
                str(installation.python.with_name("gunicorn")),
                "--config",
                str(config),
                self.application,
            ],
            "worker": [python, "-m", "workers.worker"],
            "relay": [python, "-m", "workers.relay"],
        }
        self.processes = tuple(
            Process(words, folder / f"{name}.log", variables) for name, words in commands.items()
        )
        self.web, self.worker, self.relay = self.processes
        for process in self.processes:
            process.cwd = installation.empty


def test_the_package_asks_for_what_the_lock_holds(installation: Installation) -> None:
    """``pip install .`` adds our package alone to what requirements.txt brought, and nothing is missing."""
    locked = (installation.prefix.parent / "locked.txt").read_text().splitlines()
    added = set(installation.run("pip", "freeze").splitlines()) - set(locked)
    assert {re.split("[ =@]", line)[0] for line in added} == {"ci-callback-receiver"}
    installation.run("pip", "check")


def test_the_package_states_each_requirement(installation: Installation) -> None:
    """The wheel's dependencies are the lines of requirements.in: an empty environment gets them all."""
    code = "from importlib.metadata import requires; print(*requires('ci-callback-receiver'), sep='\\n')"
    lines = (ROOT / "requirements.in").read_text().splitlines()
    stated = installation.run("python", "-c", code).split()
    assert stated == [line for line in lines if line and not line.startswith("#")]


def test_the_package_holds_every_file_of_its_folders(installation: Installation) -> None:
    """All scripts, pages and modules that the checkout has in these folders are installed."""
    names = ("app", "ci_callback_receiver", "server", "workers")
    code = (
        f"import {', '.join(names)}; print(*(each.__path__[0] for each in ({', '.join(names)})), sep='\\n')"
    )
    folders = list(map(Path, installation.run("python", "-c", code).split()))
    assert [folder.name for folder in folders] == list(names)
    for folder in folders:
        source = ROOT / folder.name
        assert installation.prefix in folder.parents, folder
        assert _files(folder) == _files(source)
    assert any(name.endswith(".lua") for name in _files(ROOT / "app"))


def _files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".md"})
    return {str(path.relative_to(folder)) for path in found}


def test_flask_finds_the_installed_application(installation: Installation, settings: Settings) -> None:
    """``flask --app app`` in any folder has our commands and our routes."""
    routes = installation.run("flask", "--app", "app", "routes", **as_environment(settings))
    assert "/callbacks/<" in routes
    assert "/v1/jobs" in routes


def test_the_installed_package_serves(
    installation: Installation, valkey: Valkey, emulator: Emulator, tmp_path: Path
) -> None:
    """Web, worker and relay start with this Python; health, API, docs and page answer."""
    port = free_port()
    settings = make_settings(valkey.url, public_url=f"http://127.0.0.1:{port}", ci_endpoint=emulator.url)
    with Installed(installation, settings, port, tmp_path) as running:
        assert running.call("GET", "/healthz").json()["status"] == "ok"
        assert running.call("GET", "/v1/jobs").ok
        assert running.call("GET", "/docs/").ok
        assert "<" in running.call("GET", "/").text


@pytest.mark.parametrize("name", ["app", "ci_callback_receiver", "workers", "server"])
def test_an_installed_package_needs_no_checkout(name: str) -> None:
    """No module of the package imports the tools of the checkout."""
    tools = re.compile(
        r"^\s*(?:from|import) (stack|tests|bench|chaos|docs|fuzz|ci_receiver_client)\b", re.MULTILINE
    )
    paths = list((ROOT / name).rglob("*.py"))
    assert paths
    assert [path for path in paths if tools.search(path.read_text())] == []
