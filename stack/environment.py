"""Creates or updates the virtual environment of this checkout. ``make`` runs this first.

Any Python 3 can run it, with its standard library alone: one that is too old gets a one-line error. The note of what is
installed is written last, so that an interrupted installation is detected.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

_OLDEST = (3, 11)
_VERSION = sys.version.split()[0]
_CHECKOUT = Path(__file__).parents[1]


class Unusable(Exception):
    """The environment cannot be made; the text says why and what to do."""


class Environment:
    """A virtual environment, and the note of what is in it."""

    def __init__(self, folder: Path, requirements: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._requirements = requirements
        self._note = folder / "installed"

    def prepare(self, python_named: bool) -> None:
        """Make it or install what is missing. Raises ``Unusable``.

        Only a Python that PYTHON= names replaces the current one.
        """
        reason = self.why_recreate(python_named)
        if reason:
            self._make(reason)
        elif self._note.read_text() == self._contents():
            return
        self._install()

    def why_recreate(self, python_named: bool) -> str | None:
        """Why it must be made again; None if it can be kept."""
        if not self.folder.exists():
            return "it does not exist yet"
        if not self._note.exists():
            return "the last installation did not finish"
        if not self._runs():
            return "its Python does not run"
        if self._note.read_text().partition("\n")[0] != self._place():
            return "it was made in another place or by an older release"
        its = self._version()
        return f"it has Python {its}" if python_named and its != _VERSION else None

    def _runs(self) -> bool:
        try:
            return subprocess.run([str(self.python), "-c", ""], check=False).returncode == 0
        except OSError:
            return False

    def _version(self) -> str:
        lines = (self.folder / "pyvenv.cfg").read_text().splitlines()
        values = dict(line.split(" = ", 1) for line in lines if " = " in line)
        return values.get("version", "unknown")

    def _place(self) -> str:
        """The scripts in bin/ contain their absolute path, so a moved checkout needs new ones."""
        return str(self.folder.resolve())

    def _contents(self) -> str:
        return f"{self._place()}\n{hashlib.sha256(self._requirements.read_bytes()).hexdigest()}\n"

    def _make(self, reason: str) -> None:
        _check_this_python()
        if self.folder.is_symlink():
            raise Unusable(f"{self.folder} is a link, and {reason}: remove the link, then run make again.")
        sys.stdout.write(f"making {self.folder} with Python {_VERSION} ({reason}) …\n")
        sys.stdout.flush()
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)

    def _install(self) -> None:
        sys.stdout.write(f"installing what {self._requirements} names …\n")
        sys.stdout.flush()
        self._note.unlink(missing_ok=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(self._requirements)], check=True)
        self._note.write_text(self._contents())

    def compile(self) -> None:
        """Write the bytecode of the checkout, as pip does for packages. Where PYTHONDONTWRITEBYTECODE is set, every
        command and process would compile it again, which is a third of a command's time. A folder that cannot be
        written costs only that."""
        packages = sorted(path.parent.name for path in _CHECKOUT.glob("*/__init__.py"))
        compiling = [str(self.python.absolute()), "-m", "compileall", "-qq", *packages]
        subprocess.run(compiling, check=False, cwd=_CHECKOUT)


def _check_this_python() -> None:
    if sys.version_info < _OLDEST:
        raise Unusable(
            f"Python 3.11 or newer is needed, this is {_VERSION}; name another: make run PYTHON=python3.12"
        )
    if importlib.util.find_spec("ensurepip") is None:
        raise Unusable(
            f"{sys.executable} ({_VERSION}) cannot make virtual environments: on Debian and Ubuntu run "
            "`apt-get install python3-venv`, or name another Python: make run PYTHON=python3.12"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python-named", action="store_true", help="replace an environment that has another Python"
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("requirements", type=Path)
    chosen = parser.parse_args()
    try:
        environment = Environment(chosen.folder, chosen.requirements)
        environment.prepare(chosen.python_named)
        environment.compile()
    except Unusable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            "The packages were not installed; the lines above say why. The next make tries again.\n"
        )
        return error.returncode or 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
