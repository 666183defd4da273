"""What a check has found."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """``fail``: it will not work; ``warn``: it works, with a loss that ``said`` describes. ``todo`` says what to do."""

    level: Severity
    what: str
    said: str
    todo: str = ""
