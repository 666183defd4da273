"""What a check has found."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """``fail``: it will not work; ``warn``: it works, with a loss that ``said`` names. ``todo`` says what to do."""

    level: Literal["ok", "warn", "fail"]
    what: str
    said: str
    todo: str = ""
