"""The difference between this machine's clock and CI's. Signatures hold a time: a wrong clock looks like wrong keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

AHEAD_S = 50.0
"""The SDK's signatures are valid from a minute before our time: a clock that is further ahead signs for the future."""
BEHIND_S = 900.0
"""COS rejects a request that was signed longer ago (RequestTimeTooSkewed)."""

SYNCHRONIZE = "Synchronize this machine's clock (NTP): CI refuses requests that are signed at another time"


def now() -> datetime:
    return datetime.now(UTC)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """The time of an answer by the server's own clock, its ``Date`` header (RFC 9110); None if it has none."""
    try:
        date = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def skew(ahead: float) -> str:
    """In words; ``ahead`` in seconds, negative for a clock that is behind."""
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} CI's"


def advice(status: int, headers: Mapping[str, str]) -> str | None:
    """What to do about a rejected request, if the clock explains it; else None."""
    theirs = server_time(headers)
    if status not in {400, 401, 403} or theirs is None:
        return None
    ahead = (now() - theirs).total_seconds()
    if -BEHIND_S < ahead < AHEAD_S:
        return None
    return f"This machine's clock is {skew(ahead)}, which explains it. {SYNCHRONIZE}"
