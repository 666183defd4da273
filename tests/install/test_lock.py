"""One lock for every Python: it resolves for each, with wheels alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.servers import ROOT
from tests.install.conftest import run, uv

_LISTS = ("requirements", "requirements-dev")
# This package has no wheels, and builds without a compiler.
_FROM_SOURCE = "crcmod"


@pytest.mark.parametrize("python", ["3.11.0", "3.11.2", "3.12", "3.13", "3.14"])
def test_the_lock_resolves_for_each_python(python: str, tmp_path: Path) -> None:
    """Every package, the development tools too, has a wheel for this Python, and its hash is in the lock."""
    command = [uv(), "pip", "install", "--dry-run", "--target", str(tmp_path), "--no-python-downloads"]
    wheels = ["--only-binary", ":all:", "--no-binary", _FROM_SOURCE, "--require-hashes"]
    platform = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    run([*command, *wheels, *platform, "-r", "requirements-dev.txt"])


def test_the_lock_is_that_of_the_lists(tmp_path: Path) -> None:
    """The lock is what the hand-written lists resolve to; after a change of a list, run ``make lock``."""
    for name in _LISTS:
        for ending in (".in", ".txt"):
            shutil.copy(ROOT / (name + ending), tmp_path)
    for name in _LISTS:
        limits = ["-c", "requirements.txt"] if name != "requirements" else []
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet"]
        output = ["-o", f"{name}.txt", f"{name}.in"]
        run([uv(), "pip", "compile", *options, *limits, *output], cwd=tmp_path)
        assert _pins(tmp_path / f"{name}.txt") == _pins(ROOT / f"{name}.txt"), "run `make lock`"


def _pins(path: Path) -> list[str]:
    """Names, versions and markers, without hashes: a release may get more files later."""
    return re.findall(r"^\w.*==.*$", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", [*_LISTS, "requirements-fuzz"])
def test_the_lock_names_no_index(name: str) -> None:
    """A lock has no URL and no index: the installer chooses the index."""
    assert not re.search(r"https?:|--index|--find-links|--extra", (ROOT / f"{name}.txt").read_text())
