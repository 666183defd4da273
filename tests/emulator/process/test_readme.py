"""The README keeps up with the code."""

from __future__ import annotations

import dataclasses
import re

import pytest

from emulator.callbacks.callback_request import CallbackRequest
from emulator.faults import ENDPOINTS, KINDS
from emulator.settings import Settings
from tests.emulator.running import ROOT

TEXT = (ROOT / "emulator/README.md").read_text()


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Settings)])
def test_every_option_is_described_with_its_default(name: str) -> None:
    """In the table of options."""
    flag = f"`--{name.replace('_', '-')}`"
    line = next(line for line in TEXT.splitlines() if line.startswith("| `--") and flag in line)
    default = getattr(Settings(), name)
    assert (
        "off" if default is False else f"{default:g}" if isinstance(default, float) else str(default)
    ) in line


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_fault_is_described(name: str) -> None:
    """In the table of faults."""
    assert re.search(rf"^\| `{name}` \|", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    "name", sorted(ENDPOINTS) + [one.name for one in dataclasses.fields(CallbackRequest)]
)
def test_every_endpoint_and_every_field_of_an_order_is_named(name: str) -> None:
    """Somewhere, as code; the templates by their first."""
    assert f"`{'template_get' if name.startswith('template_') else name}`" in TEXT
