"""The outbox is a stream: written with each change of a job, read by the relay and by any listener."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from app.redis.scripts import text_map
from app.store.database import Database
from app.store.runs.runs import Event

log = logging.getLogger(__name__)

GROUP = "relay"
_KEEP = 10_000
"""Entries kept for those who listen and come back late."""


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
        self._key = db.key("events")
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
        """What nobody can read would be handed out for ever, and nothing after it could be trimmed away."""
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
        """Keep the newest entries for those who listen, and everything that is not acknowledged yet."""
        excess = self.size() - self._keep
        if excess <= 0:
            return
        floor = self._oldest_needed()
        # By whole nodes of the stream: cheap, and at most a handful too few.
        self._redis.xtrim(self._key, minid=floor, approximate=True, limit=excess)

    def _oldest_needed(self) -> str:
        """No relay needs anything older: it is the oldest entry unacknowledged, else the last one handed out."""
        groups: Any = self._redis.xinfo_groups(self._key)
        delivered: bytes = next(g["last-delivered-id"] for g in groups if g["name"].decode() == GROUP)
        unacknowledged: Any = self._redis.xpending(self._key, GROUP)["min"]
        return (unacknowledged or delivered).decode()

    def forget_idle_consumers(self, idle_ms: int) -> None:
        """Names of relays that are long gone, and left nothing behind."""
        for consumer in self._redis.xinfo_consumers(self._key, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > idle_ms:
                self._redis.xgroup_delconsumer(self._key, GROUP, consumer["name"])

    def size(self) -> int:
        return int(self._redis.xlen(self._key))

    def last_id(self) -> str:
        rows: Any = self._redis.xrevrange(self._key, count=1)
        return rows[0][0].decode() if rows else "0-0"

    def first_id(self) -> str | None:
        rows: Any = self._redis.xrange(self._key, count=1)
        return rows[0][0].decode() if rows else None

    def resume(self, stream_id: str) -> tuple[bool, str]:
        """Whether entries after ``stream_id`` may be gone, and the place to read on from.

        Inexact where the very entry of that id was the last to be trimmed: then it says so although none is missing.
        """
        try:
            info: Any = self._redis.xinfo_stream(self._key)
        except ResponseError:
            # There is no stream (any more): only at its very beginning nothing was missed.
            return order(stream_id) > (0, 0), "0-0"
        asked, last = order(stream_id), order(info["last-generated-id"])
        # With nothing left, the entry that would come next stands for the first.
        first = order(info["first-entry"][0]) if info["first-entry"] else (last[0], last[1] + 1)
        trimmed = info.get("entries-added") != info["length"]
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
        answer: Any = self._redis.xread({self._key: stream_id}, count=count, block=block_ms)
        rows = answer[0][1] if answer else []
        return _posted(rows), rows[-1][0].decode() if rows else stream_id


def order(stream_id: bytes | str) -> tuple[int, int]:
    """What ids of the stream are sorted by."""
    ms, _, number = (stream_id.decode() if isinstance(stream_id, bytes) else stream_id).partition("-")
    return int(ms), int(number)


def _posted(rows: Any) -> list[Posted]:
    posted = []
    for stream_id, fields in rows:
        if not fields:
            continue
        try:
            posted.append(Posted(stream_id.decode(), _event(fields)))
        except (KeyError, ValueError):
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
        report=json.loads(kept["report"]),
        replay_of=kept.get("replay_of"),
        runs_handlers=kept["handlers"] == "1",
    )
