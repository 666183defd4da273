"""CI's several ways to write a time, and the one that we write."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from app.ci.fields import word

BEIJING = timezone(timedelta(hours=8))

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)? ?(?:(Z)|([+-])(\d\d):?(\d\d))?",
    re.ASCII | re.I,
)


def utc(value: Any) -> str | None:
    """RFC 3339 in UTC, ``2022-06-27T07:23:10Z``, or None for what is no time (``-``, empty, anything else).

    CI writes ``2022-07-01T10:12:26+0800`` in jobs, a space for the ``T`` in workflows, ``+08:00`` in
    moderation. A time without an offset is taken for Beijing's (+08:00), which is the clock of all its
    samples. A fraction of a second is kept, to nine digits, only if it is not zero.
    """
    given = word(value)
    found = _TIME.fullmatch(given) if given else None
    if not found:
        return None
    try:
        moment = datetime(*map(int, found.group(1, 2, 3, 4, 5, 6)), tzinfo=_offset(found)).astimezone(UTC)  # type: ignore[arg-type,misc]
    except (ValueError, OverflowError):  # the 30th of February, or before the year 1 in UTC
        return None
    fraction = (found[7] or "").rstrip("0")
    return f"{moment.replace(tzinfo=None).isoformat()}{'.' + fraction if fraction else ''}Z"


def _offset(found: re.Match[str]) -> timezone:
    if found[8]:
        return UTC
    if not found[9]:
        return BEIJING
    size = timedelta(hours=int(found[10]), minutes=int(found[11]))
    return timezone(size if found[9] == "+" else -size)
