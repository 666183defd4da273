"""Third-party files that we serve are unchanged, and their list is complete."""

import hashlib
import re
from pathlib import Path

from harness.servers import ROOT

FOLDER = ROOT / "app" / "pages" / "static" / "vendor"


def test_each_file_is_the_one_that_the_list_names() -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \|.*\| `([0-9a-f]{64})` \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    files = {each.name: _sum(each) for each in FOLDER.iterdir() if each.suffix != ".md"}
    assert dict(rows) == files


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
