"""The audit list: who did what to which jobs, when, and with what result.

``AuditList.page(limit, cursor)`` reads it, newest first; ``app/web/acts.py`` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from app.core.clock import rfc3339
from app.redis.cursors import decode_cursor, encode_cursor
from app.store.database import Database

ENTRIES_MAX: Final = 10_000
"""Entries kept in each of the two streams. Redis removes the oldest first."""
_ENTRY_MAX: Final = 2000
"""Bytes of one entry, so that both streams fill at most 40 MB. Most entries have 300."""
_STREAMS: Final = ("others", "submit")
"""Two streams that are read as one list: a busy submitter must not push out who paused a lane last week."""
JOBS_MAX: Final = 20
_MEMBERS_MAX: Final = 8
_TEXT_MAX: Final = (160, 40, 4)
"""Characters of a text: the first bound with which the entry is short enough. Filters and reasons are callers' text."""

SUBMIT: Final = "submit"
Value = str | int | bool
Via = Literal["api", "page", "command"]


class AuditEntry(Struct, frozen=True):
    """``by`` is the name of an API key, or ``local`` for a command. ``action`` is a noun and a verb (``lanes.pause``),
    or ``submit``. ``job_ids`` are the first twenty. ``on`` is what else it was applied to: a filter, a lane, a name.
    ``did`` is the result: counts, or ``error``. ``at`` is Redis' time; ``id`` is empty before the entry is stored."""

    by: str
    via: Via
    action: str
    job_ids: tuple[str, ...] = ()
    on: Mapping[str, Value] | None = None
    did: Mapping[str, Value] | None = None
    request_id: str | None = None
    id: str = ""
    at: str = ""


class AuditList:
    """The audit list in the store."""

    def __init__(self, db: Database) -> None:
        self._redis = db.client
        self._keys = [db.key("audit", each) for each in _STREAMS]

    def add(self, entry: AuditEntry) -> None:
        """Append an entry. Raises one of ``UNAVAILABLE``."""
        key = self._keys[entry.action == SUBMIT]
        # Approximately: Redis removes whole nodes of a stream, each of which has at most a hundred entries.
        self._redis.xadd(key, {"entry": _text(entry)}, maxlen=ENTRIES_MAX, approximate=True)

    def page(self, limit: int, cursor: str | None = None) -> tuple[list[AuditEntry], str | None]:
        """Up to ``limit`` entries, newest first, and the cursor of the next page; ``None`` is the end. Raises
        ``BadCursor``."""
        after = _place_of(cursor)
        pipe = self._redis.pipeline(transaction=False)
        for stream, key in enumerate(self._keys):
            pipe.xrevrange(key, max=_below(after, stream), count=limit + 1)
        found = [
            (_named(name.decode(), stream), fields[b"entry"])
            for stream, rows in enumerate(pipe.execute())
            for name, fields in rows
        ]
        found.sort(key=lambda each: each[0], reverse=True)
        page = found[:limit]
        following = page[-1][0].cursor if len(found) > limit else None
        return [_entry(place, text) for place, text in page], following


class _Place(NamedTuple):
    """The position of an entry: both streams may have an entry of the same time and number."""

    time_ms: int
    number: int
    stream: int

    @property
    def cursor(self) -> str:
        return encode_cursor((self.time_ms, f"{self.number}-{self.stream}"))


def _text(entry: AuditEntry) -> str:
    """JSON of at most ``_ENTRY_MAX`` bytes; its texts are shortened as far as that requires."""
    for longest in _TEXT_MAX:
        text = json.dumps(_row(entry, longest), ensure_ascii=False)
        if len(text.encode()) <= _ENTRY_MAX:
            break
    return text


def _row(entry: AuditEntry, longest: int) -> dict[str, Any]:
    row = {
        "by": entry.by[:longest],
        "via": entry.via,
        "action": entry.action,
        "jobs": [each[:longest] for each in entry.job_ids[:JOBS_MAX]],
        "on": _bounded(entry.on, longest),
        "did": _bounded(entry.did, longest),
        "request": entry.request_id,
    }
    return {name: value for name, value in row.items() if value}


def _bounded(values: Mapping[str, Value] | None, longest: int) -> dict[str, Value]:
    first = list((values or {}).items())[:_MEMBERS_MAX]
    return {name[:longest]: v[:longest] if isinstance(v, str) else v for name, v in first}


def _entry(place: _Place, text: bytes) -> AuditEntry:
    row = json.loads(text)
    return AuditEntry(
        by=row["by"],
        via=row["via"],
        action=row["action"],
        job_ids=tuple(row.get("jobs", ())),
        on=row.get("on", {}),
        did=row.get("did", {}),
        request_id=row.get("request"),
        id="-".join(map(str, place)),
        at=rfc3339(place.time_ms),
    )


def _named(name: str, stream: int) -> _Place:
    time_ms, _, number = name.partition("-")
    return _Place(int(time_ms), int(number), stream)


_NUMBER = re.compile(r"([0-9]{1,18})-([01])")


def _place_of(cursor: str | None) -> _Place | None:
    if (decoded := decode_cursor(cursor)) is None:
        return None
    time_ms, rest = decoded
    # A cursor of another list has the same form and is accepted: it is a position, too.
    match = _NUMBER.fullmatch(rest)
    number, stream = match.groups() if match else (0, 0)
    return _Place(max(1, time_ms), int(number), int(stream))


def _below(after: _Place | None, stream: int) -> str:
    """The upper end for XREVRANGE: the newest entry of the stream that follows that position in the list."""
    if after is None:
        return "+"
    return f"{'' if stream < after.stream else '('}{after.time_ms}-{after.number}"
