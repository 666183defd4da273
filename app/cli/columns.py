"""Text in columns of a terminal, where a Chinese character takes two places."""

from __future__ import annotations

import unicodedata

from app.core.clock import rfc3339
from app.core.logs import plain


def width(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def fitted(text: str, columns: int, *, pad: bool = False) -> str:
    """Printable, and cut with ``…`` where it is wider; ``pad`` fills it up with blanks."""
    said = plain(text)
    if width(said) > columns:
        while width(said) >= columns:
            said = said[:-1]
        said += "…"
    return said + " " * (columns - width(said)) if pad else said


def day(ms: int) -> str:
    """``2022-06-27``, in UTC."""
    return rfc3339(ms)[:10]
