"""Rules for the source tree: how many files a folder holds, and how values are defined."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "workers", "server", "emulator", "client", "examples", "tests")
MOST = 12


def test_a_folder_has_at_most_a_dozen_files() -> None:
    """Python, Lua and HTML files are counted, without ``__init__.py``."""
    files = [
        file
        for room in ROOMS
        for file in (ROOT / room).rglob("*")
        if file.suffix in {".py", ".lua", ".html"}
        and file.name != "__init__.py"
        and "__pycache__" not in file.parts
    ]
    sizes = Counter(file.parent.relative_to(ROOT) for file in files)
    assert len(sizes) > 50
    # The top of the tests also holds the checks of the whole project, so it may have more.
    sizes.pop(Path("tests"))
    assert {str(folder): size for folder, size in sizes.items() if size > MOST} == {}


def test_values_of_the_product_are_structs() -> None:
    """No module uses dataclasses: each costs every start half a millisecond (docs/decisions.md)."""
    sources = [file for room in ("app", "workers", "server") for file in (ROOT / room).rglob("*.py")]
    assert len(sources) > 200
    assert [str(file) for file in sources if "dataclasses" in file.read_text()] == []
