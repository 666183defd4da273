"""Text in columns of a terminal, where a Chinese character takes two places."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator
from typing import Final

from app.core.clock import rfc3339
from app.core.logs import plain

_LEAST: Final = 10
"""The least width of the last cell."""


def width(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def fitted(text: str, columns: int, *, pad: bool = False) -> str:
    """Printable, and cut with ``…`` where it is wider; ``pad`` fills it up with blanks."""
    shown = plain(text)
    if width(shown) > columns:
        while width(shown) >= columns:
            shown = shown[:-1]
        shown += "…"
    return shown + " " * (columns - width(shown)) if pad else shown


def row(first: str, *cells: tuple[str, int], last: str = "") -> str:
    """One line of a table as wide as the terminal, 80 where that is not known: an id, which is never cut, each cell in
    its columns, and what fits behind them."""
    head = "  ".join((plain(first), *(fitted(text, columns, pad=True) for text, columns in cells)))
    left = max(shutil.get_terminal_size().columns - width(head) - 2, _LEAST)
    return f"{head}  {fitted(last, left)}".rstrip()


def folded(text: str, *, indent: int = 0) -> Iterator[str]:
    """All of it, printable, in lines as wide as the terminal, broken at blanks; those behind the first have a deeper
    indent."""
    begin, rest = " " * indent, plain(text)
    most = max(shutil.get_terminal_size().columns, indent + 2 + _LEAST)
    while width(begin + rest) > most:
        end = _fits(rest, most - width(begin))
        blank = rest.rfind(" ", len(rest) - len(rest.lstrip()) + 1, end + 1)
        end = blank if blank > 0 else end
        yield begin + rest[:end].rstrip()
        begin, rest = " " * (indent + 2), rest[end:].lstrip()
    yield (begin + rest).rstrip()


def _fits(text: str, columns: int) -> int:
    """How many of its letters."""
    used = 0
    for number, letter in enumerate(text):
        used += width(letter)
        if used > columns:
            return number
    return len(text)


def day(ms: int) -> str:
    """``2022-06-27``, in UTC."""
    return rfc3339(ms)[:10]
