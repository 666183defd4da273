"""What the product is made of: the bill of materials, and the updates."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.servers import ROOT


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-traces.txt"])
def test_the_bill_of_materials_names_each_locked_library_with_its_hashes(tmp_path: Path, lock: str) -> None:
    target = tmp_path / "sbom.json"
    program = Path(sys.executable).with_name("cyclonedx-py")
    assert f" {lock}" in (ROOT / "Makefile").read_text().partition("\nsbom:")[2].partition("\n\n")[0]
    command = [
        str(program),
        "requirements",
        "--output-reproducible",
        "--output-file",
        str(target),
        lock,
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    components = json.loads(target.read_text())["components"]
    locked = re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE)
    assert {(each["name"], each["version"]) for each in components} == set(locked)
    assert all(
        any(reference.get("hashes") for reference in each["externalReferences"]) for each in components
    )


def test_one_command_updates_all_lock_files() -> None:
    """As make itself would run it."""
    said = subprocess.run(
        ["make", "--dry-run", "update"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("requirements", "requirements-dev", "requirements-fuzz"):
        assert re.search(rf"--upgrade.* -o {name}\.txt {name}\.in", said)
