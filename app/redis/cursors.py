"""Cursors of paged lists: a position in a list that is sorted by time, then by id, as URL-safe text."""

from __future__ import annotations

import base64
import json


class BadCursor(ValueError):
    """The cursor was not made by this service."""


def encode_cursor(position: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> tuple[int, str] | None:
    """The position (milliseconds since 1970, id); ``None`` is the beginning. Raises ``BadCursor``."""
    if not cursor:
        return None
    try:
        time_ms, each = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if type(time_ms) is not int or abs(time_ms) >= 2**53 or not isinstance(each, str):
            raise BadCursor("cursor")
        return time_ms, each
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCursor("cursor") from error
