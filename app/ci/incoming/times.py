"""CI's several formats of a time, read into RFC 3339."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from app.ci.bounds import BOUNDS
from app.ci.incoming.fields import word

BEIJING = timezone(timedelta(hours=8))

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d++))? ?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def utc(value: Any) -> str | None:
    """RFC 3339 in UTC, ``2022-06-27T07:23:10Z``; ``None`` for what is not a time (``-``, empty, anything else).

    CI writes ``2022-07-01T10:12:26+0800`` in jobs, a space for the ``T`` in workflows, ``+08:00`` in
    moderation. A time without an offset is read as Beijing's (+08:00), as in all of CI's samples. A fraction of a
    second is kept, to nine digits, unless it is zero. A time up to the beginning of 1970 is not a time either: programs
    write the year 1 or 1970 for "not yet".
    """
    given = word(value)
    found = _TIME.fullmatch(given) if given and len(given) <= BOUNDS["created_at"] else None
    if not found:
        return None
    day, clock, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{(offset or '').upper()}")
        moment = (moment if offset else moment.replace(tzinfo=BEIJING)).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February, or before the year 1 in UTC
        return None
    if moment <= _ZERO:
        return None
    fraction = fraction[:9].rstrip("0") if fraction else ""
    return f"{moment.isoformat()[:19]}{'.' if fraction else ''}{fraction}Z"
