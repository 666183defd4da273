"""The tutorial is followed as it is written, from a copy of the checkout to a handler of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.settings import Settings
from harness.servers import ROOT, free_port
from tests.docs.console import Reader


@pytest.mark.timeout(600)
def test_the_tutorial_ends_with_a_handler_of_ones_own(checkout: Path) -> None:
    """Only the ports are set, since parallel tests may use the default ones; the handler writes its notes."""
    ours = {name.upper() for name in Settings.model_fields} | {"PYTHONPATH"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    ports = {"PORT": str(free_port()), "EMULATOR_PORT": str(free_port()), "COLUMNS": "200", "TERM": "dumb"}
    with Reader(checkout, clean | ports) as reader:
        assert reader.follow(ROOT / "docs" / "tutorial.md", {}) > 8
    notes = (checkout / "mine" / "notes.txt").read_text().splitlines()
    assert sum(line.startswith("monday: ") for line in notes) >= 3
