"""client/ is a distribution of its own: nothing of ours in it, typed, and not in the image."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import ROOT
from tests.install.conftest import run, uv

CLIENT = ROOT / "client"
PRODUCT = ("app", "ci_callback_receiver", "workers", "server", "emulator")
SOURCES = sorted((CLIENT / "ci_receiver_client").glob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The top-level names of all imports of a module, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (each.name.partition(".")[0] for each in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_imports_what_it_requires_and_nothing_of_ours(path: Path) -> None:
    """The standard library, itself, and the dependencies of its own pyproject.toml."""
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]
    required = {each.partition(">")[0] for each in project["dependencies"]}
    assert set(imported(path)) <= required | sys.stdlib_module_names | {"ci_receiver_client"}


@pytest.mark.parametrize("folder", PRODUCT)
def test_the_product_does_not_import_it(folder: str) -> None:
    """It is not in the image, nor in our package."""
    for path in (ROOT / folder).rglob("*.py"):
        assert "ci_receiver_client" not in set(imported(path)), path


def test_it_is_not_in_the_image() -> None:
    """Neither are the examples: the image gets only what .dockerignore lets through."""
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert not let_through & {"client", "examples"}


def test_it_installs_on_its_own(tmp_path: Path) -> None:
    """In an environment with nothing else: it is imported, its types are there, and nothing of ours came along."""
    venv = tmp_path / "venv"
    run([uv(), "venv", "--quiet", "--python", sys.executable, str(venv)])
    python = str(venv / "bin" / "python")
    copy = tmp_path / "client"
    # A build writes beside the sources.
    run(["cp", "-r", str(CLIENT), str(copy)])
    run([uv(), "pip", "install", "--quiet", "--python", python, str(copy)])
    code = (
        "import ci_receiver_client as c, importlib.util as u, pathlib as p; "
        f"assert not [name for name in {PRODUCT} if u.find_spec(name)]; "
        "assert (p.Path(c.__file__).parent / 'py.typed').exists(); "
        "print(c.Client('http://127.0.0.1:1', 'k').jobs, c.AsyncClient, c.verify)"
    )
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_its_page_is_typed(tmp_path: Path) -> None:
    """README.md's program, as a user with mypy --strict would have it."""
    code = (CLIENT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    (tmp_path / "program.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    run(command, cwd=tmp_path, environment={"MYPYPATH": str(CLIENT)})
