"""The findings of ``flask doctor --json``."""

from __future__ import annotations

from typing import Any

from tests.cli.submit.conftest import Flask


def findings(flask: Flask, **changes: Any) -> dict[str, dict[str, str]]:
    """The findings by their subject; the worst for each."""
    found: dict[str, dict[str, str]] = {}
    order = ("ok", "warn", "fail")
    for one in flask("doctor", "--json", **changes).json["findings"]:
        before = found.get(one["what"])
        if before is None or order.index(one["level"]) > order.index(before["level"]):
            found[one["what"]] = one
    return found
