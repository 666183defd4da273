"""The audit list: who did what to which jobs, when, and what came of it.

``AuditList.page(limit, cursor)`` reads it, newest first. ``app/web/acts.py`` is what writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.core.clock import rfc3339
from app.redis.cursors import BadCursor, decode_cursor, encode_cursor
from app.store.database import Database

ENTRIES_MAX: Final = 10_000
"""Entries that are kept; the oldest are removed first."""
_ENTRY_MAX: Final = 4000
"""Bytes of one, so that all of them fill at most 40 MB; most have 300."""
_JOBS_MAX: Final = 20
_MEMBERS_MAX: Final = 12
_TEXT_MAX: Final = (160, 40, 8)
"""Characters of a text; shorter ones where the entry is too long: callers choose filters and reasons."""

Value = str | int | bool
Via = Literal["api", "page", "command"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """``by`` is the name of an API key, or ``local`` for a command. ``action`` is one word of the thing and one of what
    was done to it. ``job_ids`` are the first twenty. ``on`` is what else it was done to: a filter, a lane, a name.
    ``did`` is what came of it: counts, or ``error``. ``at`` is Redis' time; ``id`` is empty before it is stored."""

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
        self._key = db.key("audit")

    def add(self, entry: AuditEntry) -> None:
        """Raises one of ``UNAVAILABLE``."""
        # Approximately: Redis removes whole nodes of a stream, each of which has at most a hundred entries.
        self._redis.xadd(self._key, {"entry": _text(entry)}, maxlen=ENTRIES_MAX, approximate=True)

    def page(self, limit: int, cursor: str | None = None) -> tuple[list[AuditEntry], str | None]:
        """Up to ``limit`` entries, newest first, and the cursor of the next page; ``None`` is the end. Raises
        ``BadCursor``."""
        found: list[Any] = self._redis.xrevrange(self._key, max=_below(cursor), count=limit + 1)  # type: ignore[assignment]
        entries = [_entry(name.decode(), fields[b"entry"]) for name, fields in found[:limit]]
        return entries, encode_cursor(_place(entries[-1].id)) if len(found) > limit else None


def _text(entry: AuditEntry) -> str:
    """JSON of at most ``_ENTRY_MAX`` bytes, with texts as long as these allow."""
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
        "jobs": [each[:longest] for each in entry.job_ids[:_JOBS_MAX]],
        "on": _bounded(entry.on, longest),
        "did": _bounded(entry.did, longest),
        "request": entry.request_id,
    }
    return {name: value for name, value in row.items() if value}


def _bounded(values: Mapping[str, Value] | None, longest: int) -> dict[str, Value]:
    first = list((values or {}).items())[:_MEMBERS_MAX]
    return {name[:longest]: v[:longest] if isinstance(v, str) else v for name, v in first}


def _entry(name: str, text: bytes) -> AuditEntry:
    row = json.loads(text)
    return AuditEntry(
        by=row["by"],
        via=row["via"],
        action=row["action"],
        job_ids=tuple(row.get("jobs", ())),
        on=row.get("on", {}),
        did=row.get("did", {}),
        request_id=row.get("request"),
        id=name,
        at=rfc3339(_place(name)[0]),
    )


def _place(name: str) -> tuple[int, str]:
    time_ms, _, number = name.partition("-")
    return int(time_ms), number


def _below(cursor: str | None) -> str:
    place = decode_cursor(cursor)
    if place is None:
        return "+"
    time_ms, number = place
    if time_ms < 0 or not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise BadCursor("cursor")
    return f"({time_ms}-{number}"
