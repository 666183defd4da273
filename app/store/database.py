"""The Redis that holds our keys."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from redis import Redis

from app.store import keys


def ms_of_time(answer: Any) -> int:
    """Milliseconds since 1970, from the answer to TIME."""
    seconds, micros = answer
    return int(seconds) * 1000 + int(micros) // 1000


class Database(Struct, frozen=True):
    """A client, and the prefix of all our keys."""

    client: Redis
    prefix: str

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the clock of Redis, the one that all hosts share."""
        return ms_of_time(self.client.time())

    def key(self, kind: str, each: str | None = None) -> str:
        return keys.key(self.prefix, kind, each)
