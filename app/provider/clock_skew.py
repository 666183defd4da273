"""How far this machine's clock is from CI's own: a wrong one looks like wrong keys, because signatures hold a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

AHEAD_S = 50.0
"""A signature begins a minute before our own time: a clock that is further ahead makes signatures of the future."""
BEHIND_S = 900.0
"""So much COS lets a request be late by."""

SYNCHRONIZE = "Synchronize this machine's clock (NTP): CI refuses requests that are signed at another time"


def now() -> datetime:
    return datetime.now(UTC)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """When the answer was given, by the clock of who gave it; None where it does not say."""
    try:
        said = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def skew(ahead: float) -> str:
    """In words; ``ahead`` in seconds, negative for a clock that is behind."""
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} CI's"


def advice(status: int, headers: Mapping[str, str]) -> str | None:
    """What to do about a refusal that the clock explains; None for all others."""
    theirs = server_time(headers)
    if status not in {400, 401, 403} or theirs is None:
        return None
    ahead = (now() - theirs).total_seconds()
    if -BEHIND_S < ahead < AHEAD_S:
        return None
    return f"This machine's clock is {skew(ahead)}, which explains it. {SYNCHRONIZE}"
