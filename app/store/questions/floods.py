"""Floods: callback URLs over their limits. Their callbacks are refused, and CI is asked for what they reported."""

from __future__ import annotations

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


class Floods:
    """Floods for which CI's list has not been read yet."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._redis = db.client
        self._key = db.key("flooded")
        self._take, self._note = script(db.client, "take"), script(db.client, "flood")

    def note(self, token: str, submission: str | None, seconds: int) -> int:
        """The URL of this fingerprint is refused for ``seconds``. Returns how many jobs CI is asked about now."""
        return int(self._note(args=[self._db.prefix, token, submission or "", seconds * 1000]))

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
