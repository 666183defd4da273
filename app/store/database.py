"""The Redis that holds our keys."""

from __future__ import annotations

from msgspec import Struct
from redis import Redis

from app.store import keys


class Database(Struct, frozen=True):
    """A client, and the prefix of all our keys."""

    client: Redis
    prefix: str

    def key(self, kind: str, each: str | None = None) -> str:
        return keys.key(self.prefix, kind, each)
