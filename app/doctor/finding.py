"""The result of a check."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """``fail``: it does not work; ``warn``: it works, with the limitation in ``said``. ``todo`` says what to do."""

    level: Severity
    what: str
    said: str
    todo: str = ""
