"""Callback URLs that belong to no submission: made for the console's queues, or for a test.

Redis never holds the token: an entry says which URL was made, and when it was last used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from app.core.clock import now_ms
from app.redis.connection import UNAVAILABLE
from app.redis.durable import Durable
from app.redis.scripts import decoded
from app.store.accept.outcomes import Unavailable
from app.store.database import Database

_FIELDS = ("name", "tags", "bucket", "created", "expires", "used")
_SHORT_MS = 86_400_000
_SOON_MS = 14 * 86_400_000


class CallbackUrl(Struct, frozen=True):
    """One URL, named by its token's fingerprint. Times are milliseconds since 1970. Without ``expires`` it never
    expires. For a URL that an earlier release made, ``created`` is its first use."""

    fingerprint: str
    name: str
    tags: tuple[str, ...] = ()
    bucket: str | None = None
    created: int = 0
    expires: int | None = None
    used: int | None = None
    revoked: bool = False

    @property
    def is_in_use(self) -> bool:
        """Not revoked, and made for more than a day: a shorter one was made for a test and needs no renewal."""
        is_for_a_test = self.expires is not None and self.expires - self.created < _SHORT_MS
        return not self.revoked and not is_for_a_test

    def has_expired(self, now: int) -> bool:
        return self.expires is not None and self.expires <= now

    def expires_soon(self, now: int) -> bool:
        """True if it has expired, or will within 14 days."""
        return self.expires is not None and self.expires <= now + _SOON_MS


class CallbackUrls:
    """The URLs in the store. A URL that an earlier release made is listed from its next use on."""

    def __init__(self, db: Database, durable: Durable) -> None:
        self._db = db
        self._redis = db.client
        self._durable = durable

    def add(self, url: CallbackUrl) -> None:
        """Store it at the strongest durability that this Redis offers. Raises ``Unavailable`` unless that is
        confirmed."""
        values = {"name": url.name, "tags": ",".join(url.tags), "bucket": url.bucket, "created": url.created}
        values |= {"expires": url.expires}
        fields = [word for name, value in values.items() if value for word in (name, str(value))]
        commands = [
            ["HSET", self._db.key("url", url.fingerprint), *fields],
            ["ZADD", self._db.key("urls"), "NX", str(url.created), url.fingerprint],
        ]
        try:
            safe = self._durable.write(commands)
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        if not safe:
            raise Unavailable(
                "Redis did not confirm in time that the URL is as durable as DURABILITY promises"
            )

    def list(self) -> list[CallbackUrl]:
        """All of them, the newest first."""
        rows: Any = self._redis.zrange(self._db.key("urls"), 0, -1, desc=True, withscores=True)
        since = {mark.decode(): int(score) for mark, score in rows}
        pipe = self._redis.pipeline(transaction=False)
        for mark in since:
            pipe.hmget(self._db.key("url", mark), *_FIELDS)
            pipe.sismember(self._db.key("revoked"), mark)
        answers: list[Any] = pipe.execute() if since else []
        return [
            _read(mark, since[mark], row, bool(revoked))
            for mark, row, revoked in zip(since, answers[::2], answers[1::2], strict=True)
        ]

    def drop_expired(self, at_most_s: float) -> int:
        """Remove the entries of URLs that expired as long ago as they had been valid, or ``at_most_s`` ago. Returns how
        many."""
        now = now_ms()
        gone = [url.fingerprint for url in self.list() if url.expires and _kept_until(url, at_most_s) < now]
        if gone:
            pipe = self._redis.pipeline(transaction=True)
            pipe.delete(*(self._db.key("url", mark) for mark in gone))
            pipe.zrem(self._db.key("urls"), *gone)
            pipe.execute()
        return len(gone)


def _kept_until(url: CallbackUrl, at_most_s: float) -> int:
    assert url.expires is not None  # noqa: S101 - for the type checker
    return url.expires + min(url.expires - url.created, int(at_most_s * 1000))


def _read(mark: str, since: int, row: Sequence[Any], revoked: bool) -> CallbackUrl:
    name, tags, bucket, created, expires, used = (decoded(value) for value in row)
    return CallbackUrl(
        fingerprint=mark,
        name=name or "",
        tags=tuple((tags or "").split(",")) if tags else (),
        bucket=bucket or None,
        created=int(created or since),
        expires=int(expires) if expires else None,
        used=int(used) if used else None,
        revoked=revoked,
    )
