"""Time as the store writes it: milliseconds for scores, RFC 3339 in UTC for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def rfc3339(ms: float) -> str:
    """``2022-06-27T07:23:10.123Z``."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_of(stored: str | None) -> str | None:
    """RFC 3339 of a stored time: milliseconds as text, which takes fewer bytes, or in earlier releases RFC 3339."""
    return rfc3339(int(stored)) if stored and stored.isdigit() else stored


def ms_of(moment: datetime | None) -> int | None:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000) if moment else None


def to_ms(stamp: str | None) -> int | None:
    """The inverse of ``rfc3339``, for any fraction; ``None`` for text that is not a time."""
    if stamp is None:
        return None
    try:
        return int(datetime.fromisoformat(stamp).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
