"""The outbox is a stream: each change of a job appends an event, the relay and any listener read it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct
from redis.exceptions import ResponseError

from app.core.clock import now_ms
from app.redis.scripts import script, text_map
from app.store.database import Database
from app.store.events.event import Event, Only
from app.store.packing.packing import pack, unpack
from app.store.schedules.schedules import Backlog

log = logging.getLogger(__name__)

GROUP = "relay"
_KEEP = 10_000
"""Entries kept for listeners that reconnect late."""
_SHELF = 50
"""Entries in one packed value, which takes a tenth of their bytes; fewer when events are rare."""
_SHELF_MIN = 10
_OPEN = 50
"""The newest entries are not packed,"""
_OPEN_MS = 10_000
"""nor are entries younger than this, up to the number that is packed in one call."""
_SHELVED_AT_ONCE = 200


class Posted(Struct, frozen=True):
    """An event and its place in the stream."""

    stream_id: str
    event: Event


class Outbox:
    """The stream of events."""

    def __init__(self, db: Database, limit: int = 100_000) -> None:
        """``limit`` bounds the entries of the stream; accept() refuses events beyond it. The unpacked entries that are
        kept for listeners are part of it."""
        self._redis = db.client
        self._key, self._past = db.key("events"), db.key("past")
        self._shelve = script(db.client, "shelve")
        self._keep = min(_KEEP, limit // 2)

    def open(self) -> None:
        """Create the relay's consumer group, which begins with the first entry, unless it exists."""
        try:
            self._redis.xgroup_create(self._key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, consumer: str, count: int, block_ms: int) -> list[Posted]:
        """Up to ``count`` new entries, waiting up to ``block_ms`` for the first. The consumer must acknowledge them."""
        answer: Any = self._redis.xreadgroup(GROUP, consumer, {self._key: ">"}, count=count, block=block_ms)
        return self._readable(answer[0][1]) if answer else []

    def take_over(self, consumer: str, idle_ms: int, count: int) -> list[Posted]:
        """Entries that another consumer has read and not acknowledged for ``idle_ms``."""
        answer: Any = self._redis.xautoclaim(self._key, GROUP, consumer, idle_ms, "0", count=count)
        return self._readable(answer[1])

    def _readable(self, rows: Any) -> list[Posted]:
        """Acknowledges what cannot be read: it would be delivered again and again, and block trimming."""
        posted = _posted(rows)
        known = {each.stream_id for each in posted}
        broken = [stream_id for stream_id, fields in rows if fields and stream_id.decode() not in known]
        if broken:
            self._redis.xack(self._key, GROUP, *broken)
        return posted

    def acknowledge(self, posted: list[Posted]) -> None:
        if posted:
            self._redis.xack(self._key, GROUP, *(each.stream_id for each in posted))

    def trim(self) -> None:
        """Pack entries that every group has acknowledged. A group other than the relay's can delay that for ``_KEEP``
        entries, not for more."""
        for _ in range(_SHELVED_AT_ONCE):
            size = self.size()
            if size < _SHELF_MIN or not self._shelve_oldest(size):
                return

    def _shelve_oldest(self, size: int) -> bool:
        groups: Any = self._redis.xinfo_groups(self._key)
        names = [group["name"].decode() for group in groups]
        waited_for = {GROUP} if size > self._keep else {GROUP, *names}
        floor = min(self._oldest_needed(group) for group in groups if group["name"].decode() in waited_for)
        if size < _OPEN + _SHELF:
            floor = min(floor, (now_ms() - _OPEN_MS, 0))
        found: Any = self._redis.xrange(self._key, count=_SHELF)
        rows = [row for row in found if order(row[0]) < floor]
        if len(rows) < (_SHELF if size >= _OPEN + _SHELF else _SHELF_MIN):
            return False
        packed = pack(msgspec.msgpack.encode(rows))
        keys, ends = [self._key, self._past], [rows[0][0], rows[-1][0]]
        self._shelve(keys=keys, args=[*ends, packed, len(rows), self._keep])
        return True

    def _oldest_needed(self, group: Any) -> tuple[int, int]:
        """The oldest entry that the group still needs: its oldest unacknowledged one, else the one after the last that
        it has read."""
        if oldest := self._redis.xpending(self._key, group["name"])["min"]:
            return order(oldest)
        ms, number = order(group["last-delivered-id"])
        return ms, number + 1

    def forget_idle_consumers(self, idle_ms: int) -> None:
        """Remove the consumers of relays that ended long ago and have nothing unacknowledged."""
        for consumer in self._redis.xinfo_consumers(self._key, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > idle_ms:
                self._redis.xgroup_delconsumer(self._key, GROUP, consumer["name"])

    def lag(self) -> Backlog:
        """How many events no relay has acknowledged, and how long (seconds) the oldest of them has waited."""
        groups: Any = self._redis.xinfo_groups(self._key) if self._redis.exists(self._key) else []
        relays: Any = next((each for each in groups if each["name"].decode() == GROUP), None)
        first = self._oldest_needed(relays) if relays else (0, 0)
        rows: Any = self._redis.xrange(self._key, min=f"{first[0]}-{first[1]}", count=1)
        if not rows:
            return Backlog(0, 0.0)
        # XINFO GROUPS answers a null lag where entries behind the group were deleted: assume all of them.
        unread = relays.get("lag") if relays else None
        waiting = self.size() if unread is None else relays["pending"] + unread
        return Backlog(int(waiting), max(0.0, (now_ms() - order(rows[0][0])[0]) / 1000))

    def size(self) -> int:
        """How many entries count for ``OUTBOX_MAX``."""
        return int(self._redis.xlen(self._key))

    def kept(self) -> int:
        """How many entries a listener can resume from."""
        pipe = self._redis.pipeline()
        pipe.xlen(self._key)
        pipe.xrange(self._past, count=1)
        pipe.xrevrange(self._past, count=1)
        size, *ends = pipe.execute()
        gone, packed = _counted(*ends)
        return int(size) + packed - gone

    def last_id(self) -> str:
        """The id of the newest event, in the stream or packed; ``0-0`` if there was none."""
        (_, newest), _ = self._ends()
        return newest or "0-0"

    def first_id(self) -> str | None:
        (first, *_), _ = self._ends()
        return first

    def _ends(self) -> tuple[tuple[str | None, str | None], bool]:
        """The first id that is kept, the last one that was ever assigned, and whether entries were removed."""
        pipe = self._redis.pipeline()
        pipe.xinfo_stream(self._key)
        pipe.xrange(self._past, count=1)
        pipe.xrevrange(self._past, count=1)
        info, past, last = pipe.execute(raise_on_error=False)
        if isinstance(info, Exception):
            if isinstance(info, ResponseError):
                return (None, None), False  # No stream: nothing was written yet, or Redis lost its data.
            raise info
        oldest = past[0][1][b"first"] if past else info["first-entry"][0] if info["first-entry"] else None
        gone, packed = _counted(past, last)
        is_trimmed = gone > 0 or info.get("entries-added") != info["length"] + packed
        return (oldest and oldest.decode(), info["last-generated-id"].decode()), is_trimmed

    def resume(self, stream_id: str) -> tuple[bool, str]:
        """Whether entries after ``stream_id`` may have been removed, and the id to read on from.

        Inexact if the entry of exactly that id was the last one removed: then the answer is true, and none is missing.
        """
        (oldest, newest), trimmed = self._ends()
        if newest is None:
            # There is no stream: a listener that has read events has missed some, one that has read none has not.
            return order(stream_id) > (0, 0), "0-0"
        asked, last = order(stream_id), order(newest)
        # If nothing is left, the next entry to come is the first one.
        first = order(oldest) if oldest else (last[0], last[1] + 1)
        # An id above the last one is of another stream: Redis has lost its data, or is another one.
        before = (first[0], first[1] - 1) if first[1] else (first[0] - 1, 2**64 - 1)
        if asked <= last and (asked >= before or not trimmed):
            return False, stream_id
        return True, f"{before[0]}-{before[1]}"

    def after(self, stream_id: str, count: int, block_ms: int | None = None) -> list[Posted]:
        """Entries after ``stream_id``, waiting up to ``block_ms`` for the first."""
        return self.page(stream_id, count, block_ms)[0]

    def page(self, stream_id: str, count: int, block_ms: int | None = None) -> tuple[list[Posted], str]:
        """As ``after``, and the id to read on from, which also passes entries that cannot be read."""
        rows = self._rows(stream_id, count)
        if not rows and block_ms is not None and self._redis.xread({self._key: stream_id}, 1, block_ms):
            rows = self._rows(stream_id, count)
        return _posted(rows), rows[-1][0].decode() if rows else stream_id

    def _rows(self, stream_id: str, count: int) -> list[Any]:
        """Raw entries, the packed ones first. One transaction, so that an entry that is just packed is not missed."""
        pipe = self._redis.pipeline()
        shelves = count // _SHELF + 2
        pipe.xrange(self._past, min=f"({stream_id}", count=shelves)
        pipe.xrange(self._key, min=f"({stream_id}", count=count)
        past, rows = pipe.execute()
        # If the page is full of packed values, more of them may follow before the stream goes on.
        return [*_unshelved(past, order(stream_id)), *(rows if len(past) < shelves else ())][:count]


def order(stream_id: bytes | str) -> tuple[int, int]:
    """The sort key of a stream id: milliseconds and sequence number."""
    ms, _, number = (stream_id.decode() if isinstance(stream_id, bytes) else stream_id).partition("-")
    return int(ms), int(number or 0)


def _counted(first: Any, last: Any) -> tuple[int, int]:
    """From the first and the last packed value: how many entries were removed there, and how many were ever packed."""
    if not last:
        return 0, 0
    return int(first[0][1][b"before"]), int(last[0][1][b"before"]) + int(last[0][1][b"count"])


def _unshelved(past: Any, after: tuple[int, int]) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    for _, fields in past:
        for stream_id, entry in _entries_in(unpack(fields[b"entries"])):
            if order(stream_id) > after:
                yield stream_id, entry


def _entries_in(shelf: bytes) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """MessagePack, in which a report stands as it is; releases before schema 6 wrote JSON, with each quote escaped."""
    if not shelf.startswith(b"["):
        yield from msgspec.msgpack.decode(shelf)
        return
    for stream_id, entry in json.loads(shelf):
        yield stream_id.encode(), {name.encode(): value.encode() for name, value in entry.items()}


def _posted(rows: Any) -> list[Posted]:
    posted = []
    for stream_id, fields in rows:
        if not fields:
            continue
        try:
            posted.append(Posted(stream_id.decode(), _event(fields)))
        except (KeyError, ValueError, msgspec.DecodeError):
            log.exception("cannot read entry %s of the outbox; skipping it", stream_id.decode())
    return posted


def _event(fields: dict[bytes, bytes]) -> Event:
    kept = text_map(fields)
    return Event(
        event_id=kept["event_id"],
        job_id=kept["job_id"],
        kind=kept["kind"],
        state=kept["state"] or None,
        tag=kept["tag"] or None,
        version=int(kept["version"]),
        at=kept["at"],
        entry=int(kept["entry"]),
        report=msgspec.json.decode(kept["report"]),
        replay_of=kept.get("replay_of"),
        runs_handlers=kept["handlers"] == "1",
        labels=json.loads(kept.get("labels", "{}")),
        only=Only.read(kept["only"]) if kept.get("only") else None,
        details=json.loads(kept["details"]) if "details" in kept else None,
        submission=kept.get("submission"),
        request_id=kept.get("request"),
        traceparent=kept.get("trace"),
    )
