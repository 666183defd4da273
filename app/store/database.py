"""The Redis that holds our keys."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from app.store import keys


@dataclass(frozen=True, slots=True)
class Database:
    """A client, and the prefix of all our keys."""

    client: Redis
    prefix: str

    def key(self, kind: str, each: str | None = None) -> str:
        return keys.key(self.prefix, kind, each)
