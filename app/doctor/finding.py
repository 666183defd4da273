"""The result of a check."""

from __future__ import annotations

from typing import Literal, NamedTuple

FindingLevel = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """``fail``: it does not work; ``warn``: it works, with the limitation in ``said``. ``todo`` says what to do."""

    level: FindingLevel
    what: str
    said: str
    todo: str = ""
