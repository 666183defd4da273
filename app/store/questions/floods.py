"""Floods: callback URLs over their limits. Their callbacks are refused, and CI is asked for what they reported."""

from __future__ import annotations

import threading
import time

from msgspec import Struct

from app.core.clock import now_ms
from app.redis.scripts import decoded, decoded_all, script
from app.store.database import Database


class Flood(Struct, frozen=True):
    """One URL's flood, from ``since`` to ``until`` (ms), and the tags and bucket of its token. ``mark`` is its score in
    the schedule since it was taken."""

    token: str
    since: int
    until: int
    bucket: str | None
    tags: tuple[str, ...]
    mark: float | None


class _Pending(Struct, frozen=True):
    """A flood from ``since`` to ``until``, by the monotonic clock (seconds)."""

    submission: str | None
    since: float
    until: float


_PENDING_MAX = 10_000
"""Notes that a process keeps while Redis is away; beyond it the oldest goes."""


class Floods:
    """Floods for which CI's list has not been read yet."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._key = db.key("flooded")
        self._take, self._note = script(db.client, "take"), script(db.client, "flood")
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}

    def note(self, token: str, submission: str | None, seconds: int) -> int:
        """The URL of this fingerprint is refused for ``seconds``. Returns how many jobs CI is asked about now."""
        now = time.monotonic()
        return self._write(token, _Pending(submission, now, now + seconds))

    def note_later(self, token: str, submission: str | None, seconds: int) -> None:
        """``note``, by the next ``note_pending``: Redis is away now. Lost if this process ends before."""
        now = time.monotonic()
        with self._lock:
            before = self._pending.pop(token, None)
            if len(self._pending) >= _PENDING_MAX:
                del self._pending[next(iter(self._pending))]
            self._pending[token] = _Pending(submission, before.since if before else now, now + seconds)

    def note_pending(self) -> None:
        """Note what ``note_later`` has left. Raises the error of Redis if it is unavailable; the rest stays pending."""
        with self._lock:
            pending = list(self._pending.items())
        for token, each in pending:
            self._write(token, each)
            with self._lock:
                if self._pending.get(token) is each:
                    del self._pending[token]

    def _write(self, token: str, each: _Pending) -> int:
        now = time.monotonic()
        refused_ms, since_ms = int((each.until - now) * 1000), int((now - each.since) * 1000)
        return int(self._note(args=[self._db.prefix, token, each.submission or "", refused_ms, since_ms]))

    def take(self, put_off_s: float) -> Flood | None:
        """A flood that has ended, if there is one; put off, so that it is taken again if the caller dies."""
        ended = decoded_all(self._take(keys=[self._key], args=[1, int(put_off_s * 1000)]))
        return self._flood(ended[0]) if ended else None

    def _flood(self, token: str) -> Flood:
        row = self._redis.hmget(self._db.key("url", token), "flood_since", "bucket", "tags")
        since, bucket, tags = map(decoded, row)
        now = now_ms()
        return Flood(
            token=token,
            since=int(since or now),
            until=now,
            bucket=bucket or None,
            tags=tuple(filter(None, (tags or "").split(","))),
            mark=self._redis.zscore(self._key, token),
        )

    def done(self, flood: Flood) -> None:
        """CI's list was read for it, or reading was given up. A flood that has begun again since is kept, and is read
        from its first beginning."""
        if self._redis.zscore(self._key, flood.token) != flood.mark:
            return
        pipe = self._redis.pipeline()
        pipe.zrem(self._key, flood.token)
        pipe.hdel(self._db.key("url", flood.token), "flood_since")
        pipe.execute()
