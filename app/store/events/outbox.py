"""The outbox is a stream: written with each change of a job, read by the relay and by any listener."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
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
"""Entries kept for those who listen and come back late."""
_SHELF = 50
"""Entries in one packed value, which has a tenth of their bytes; while there is little news, fewer."""
_SHELF_MIN = 10
_OPEN = 50
"""The newest entries stay as they are,"""
_OPEN_MS = 10_000
"""and so do those that are younger, unless there are more than that."""
_SHELVED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Posted:
    """An event and its place in the stream."""

    stream_id: str
    event: Event


class Outbox:
    """The stream of events."""

    def __init__(self, db: Database, limit: int = 100_000) -> None:
        """``limit`` is how many entries accept() makes room for; what listeners may come back to is part of that."""
        self._redis = db.client
        self._key, self._past = db.key("events"), db.key("past")
        self._shelve = script(db.client, "shelve")
        self._keep = min(_KEEP, limit // 2)

    def open(self) -> None:
        """Make the relay's consumer group, from the very first entry, unless it is there."""
        try:
            self._redis.xgroup_create(self._key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, consumer: str, count: int, block_ms: int) -> list[Posted]:
        """New entries for this consumer; it has to acknowledge them."""
        answer: Any = self._redis.xreadgroup(GROUP, consumer, {self._key: ">"}, count=count, block=block_ms)
        return self._readable(answer[0][1]) if answer else []

    def take_over(self, consumer: str, idle_ms: int, count: int) -> list[Posted]:
        """Entries that another consumer took and did not acknowledge for that long."""
        answer: Any = self._redis.xautoclaim(self._key, GROUP, consumer, idle_ms, "0", count=count)
        return self._readable(answer[1])

    def _readable(self, rows: Any) -> list[Posted]:
        """An entry that cannot be read would be delivered for ever, and nothing after it could be trimmed away."""
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
        """Pack entries that every group has acknowledged; the newest ``keep`` of them stay for those who listen. Other
        groups than the relay's hold up as many, but no more."""
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
        """The group needs nothing older: it is the oldest entry unacknowledged, else the one after the last that was
        handed out."""
        if oldest := self._redis.xpending(self._key, group["name"])["min"]:
            return order(oldest)
        ms, number = order(group["last-delivered-id"])
        return ms, number + 1

    def forget_idle_consumers(self, idle_ms: int) -> None:
        """Names of relays that are long gone, and left nothing behind."""
        for consumer in self._redis.xinfo_consumers(self._key, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > idle_ms:
                self._redis.xgroup_delconsumer(self._key, GROUP, consumer["name"])

    def lag(self) -> Backlog:
        """Events that no relay has acknowledged, and for how long (seconds) the oldest of them has waited."""
        groups: Any = self._redis.xinfo_groups(self._key) if self._redis.exists(self._key) else []
        relays: Any = next((each for each in groups if each["name"].decode() == GROUP), None)
        first = self._oldest_needed(relays) if relays else (0, 0)
        rows: Any = self._redis.xrange(self._key, min=f"{first[0]}-{first[1]}", count=1)
        if not rows:
            return Backlog(0, 0.0)
        # Redis cannot say the lag of a group behind which entries were deleted: then at most all of them.
        unread = relays.get("lag") if relays else None
        waiting = self.size() if unread is None else relays["pending"] + unread
        return Backlog(int(waiting), max(0.0, (now_ms() - order(rows[0][0])[0]) / 1000))

    def size(self) -> int:
        """How many entries count for ``OUTBOX_MAX``."""
        return int(self._redis.xlen(self._key))

    def kept(self) -> int:
        """How many entries a listener can come back to."""
        pipe = self._redis.pipeline()
        pipe.xlen(self._key)
        pipe.xrange(self._past, count=1)
        pipe.xrevrange(self._past, count=1)
        size, *ends = pipe.execute()
        gone, packed = _counted(*ends)
        return int(size) + packed - gone

    def last_id(self) -> str:
        """The id of the newest event, in the stream or packed; the place before the first if there was none."""
        (_, newest), _ = self._ends()
        return newest or "0-0"

    def first_id(self) -> str | None:
        (first, *_), _ = self._ends()
        return first

    def _ends(self) -> tuple[tuple[str | None, str | None], bool]:
        """The first id that is kept, the last that was ever given out, and whether entries are gone."""
        pipe = self._redis.pipeline()
        pipe.xinfo_stream(self._key)
        pipe.xrange(self._past, count=1)
        pipe.xrevrange(self._past, count=1)
        info, past, last = pipe.execute(raise_on_error=False)
        if isinstance(info, Exception):
            if isinstance(info, ResponseError):
                return (None, None), False  # There is no stream (any more).
            raise info
        oldest = past[0][1][b"first"] if past else info["first-entry"][0] if info["first-entry"] else None
        gone, packed = _counted(past, last)
        is_trimmed = gone > 0 or info.get("entries-added") != info["length"] + packed
        return (oldest and oldest.decode(), info["last-generated-id"].decode()), is_trimmed

    def resume(self, stream_id: str) -> tuple[bool, str]:
        """Whether entries after ``stream_id`` may be gone, and the place to read on from.

        Inexact where the very entry of that id was the last to be trimmed: then it says so although none is missing.
        """
        (oldest, newest), trimmed = self._ends()
        if newest is None:
            # Only at the very beginning of a stream that is not there nothing was missed.
            return order(stream_id) > (0, 0), "0-0"
        asked, last = order(stream_id), order(newest)
        # With nothing left, the entry that would come next stands for the first.
        first = order(oldest) if oldest else (last[0], last[1] + 1)
        # An id from the future is one of another stream: this Redis came back empty, or is another one.
        before = (first[0], first[1] - 1) if first[1] else (first[0] - 1, 2**64 - 1)
        if asked <= last and (asked >= before or not trimmed):
            return False, stream_id
        return True, f"{before[0]}-{before[1]}"

    def after(self, stream_id: str, count: int, block_ms: int | None = None) -> list[Posted]:
        """Entries after ``stream_id``, waiting up to ``block_ms`` for the first."""
        return self.page(stream_id, count, block_ms)[0]

    def page(self, stream_id: str, count: int, block_ms: int | None = None) -> tuple[list[Posted], str]:
        """The same, and the place after the page: entries that cannot be read are part of it."""
        rows = self._rows(stream_id, count)
        if not rows and block_ms is not None and self._redis.xread({self._key: stream_id}, 1, block_ms):
            rows = self._rows(stream_id, count)
        return _posted(rows), rows[-1][0].decode() if rows else stream_id

    def _rows(self, stream_id: str, count: int) -> list[Any]:
        """Entries as the stream has them, the packed ones before the others, all of one moment."""
        pipe = self._redis.pipeline()
        shelves = count // _SHELF + 2
        pipe.xrange(self._past, min=f"({stream_id}", count=shelves)
        pipe.xrange(self._key, min=f"({stream_id}", count=count)
        past, rows = pipe.execute()
        # Behind the last of these there may be more packed ones.
        return [*_unshelved(past, order(stream_id)), *(rows if len(past) < shelves else ())][:count]


def order(stream_id: bytes | str) -> tuple[int, int]:
    """What ids of the stream are sorted by."""
    ms, _, number = (stream_id.decode() if isinstance(stream_id, bytes) else stream_id).partition("-")
    return int(ms), int(number or 0)


def _counted(first: Any, last: Any) -> tuple[int, int]:
    """By the first and the last packed value: how many entries are gone from there, and how many were ever packed."""
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
