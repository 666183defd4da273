"""A command makes the pictures of the README from a running stack."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from docs import screenshots
from harness.servers import ROOT

SHOWN = re.findall(r'(?:src|srcset)="(docs/pictures/[\w-]+\.png)"', (ROOT / "README.md").read_text())


def size(picture: Path) -> tuple[int, int]:
    """Width and height, as a PNG's header says."""
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.mark.timeout(300)
def test_the_command_makes_each_picture_of_the_readme(tmp_path: Path) -> None:
    """Light and dark pictures differ, and have the size of the committed ones."""
    screenshots.main(tmp_path)
    made = {each.name: each for each in tmp_path.iterdir()}
    assert sorted(f"docs/pictures/{name}" for name in made) == sorted(SHOWN)
    for name in ("jobs", "job"):
        light, dark = made[f"{name}-light.png"], made[f"{name}-dark.png"]
        assert size(light) == size(dark) == size(ROOT / "docs" / "pictures" / light.name)
        assert light.read_bytes() != dark.read_bytes()


def test_the_pictures_are_small() -> None:
    """Together they are below 1 MB, since every clone has them."""
    assert SHOWN
    assert sum((ROOT / each).stat().st_size for each in SHOWN) < 1_000_000
