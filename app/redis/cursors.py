"""Cursors of paged lists: a position in a list that is sorted by time, then by id, as URL-safe text.

``1709647198000.ajE`` is the id ``j1``, in base64url, at that millisecond since 1970. Every text that matches
``PATTERN`` is a position, so that the API's document can describe valid cursors.
"""

from __future__ import annotations

import base64
import re
from typing import Final

_POSITION: Final = r"(-?[0-9]{1,15})\.((?:[A-Za-z0-9_-]{4}){0,2048}(?:[A-Za-z0-9_-]{2,3})?)"
PATTERN: Final = f"^(?:{_POSITION})?$"
_CURSOR: Final = re.compile(_POSITION)


class BadCursor(ValueError):
    """The cursor was not made by this service."""


def encode_cursor(position: tuple[int, str]) -> str:
    time_ms, each = position
    return f"{time_ms}.{base64.urlsafe_b64encode(each.encode()).decode().rstrip('=')}"


def decode_cursor(cursor: str | None) -> tuple[int, str] | None:
    """The position (milliseconds since 1970, id); ``None`` is the beginning. Raises ``BadCursor``."""
    if not cursor:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor("cursor")
    encoded = found[2] + "=" * (-len(found[2]) % 4)
    # An id that is not UTF-8 was not made by us; it is a position nevertheless.
    return int(found[1]), base64.urlsafe_b64decode(encoded).decode(errors="replace")
