"""Times as people write them in commands: one parser for all."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

AGO = "UTC unless it has an offset; or today, yesterday; or 30s, 90m, 24h, 7d, 2w ago."
"""What a time may be, for help texts."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}


def moment(text: str, now: datetime | None = None) -> datetime:
    """A time with an offset. ``24h`` is 24 hours ago; ``today`` and ``yesterday`` are 00:00 UTC of that day. Raises
    ``ValueError``, whose message lists the forms."""
    now, word = now or datetime.now(UTC), text.strip().lower()
    if word == "now":
        return now
    if word in _DAYS:
        return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(_DAYS[word])
    if ago := re.fullmatch(r"(\d{1,5})([smhdw])", word):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        forms = "2026-01-31, 2026-01-31T09:00:00+08:00, today, yesterday, 30s, 90m, 24h, 7d or 2w"
        raise ValueError(f"{text!r} is not a time; write it as {forms}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
