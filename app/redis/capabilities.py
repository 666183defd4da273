"""Which durability guarantees this server supports, found by probing it: WAIT, WAITAOF, or a synced file."""

from __future__ import annotations

import time
from typing import Any, Literal

from redis import Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from app.redis.connection import UNAVAILABLE
from app.redis.scripts import decoded

Level = Literal["process", "fsync", "replicated"]
Wait = Literal["WAITAOF", "WAIT"]

_OFFER_S = 10.0


class DurabilityUnsupported(Exception):
    """The server cannot provide the configured ``DURABILITY``; the message says what to change in it."""


class Capabilities:
    """Probes the server. Every method may raise one of ``connection.UNAVAILABLE``."""

    def __init__(self, client: Redis) -> None:
        self._redis = client
        self._asked = 0.0
        self._waits: tuple[Wait, ...] = ()
        self._file: tuple[Wait, ...] | None = None
        self._file_asked = 0.0

    def all(self) -> tuple[Wait, ...]:
        """Every wait that works now, probed at most every 10 s: waiting for a replica that does not exist runs into the
        timeout."""
        if not self._asked or time.monotonic() - self._asked > _OFFER_S:
            self._waits = self._ask()
            self._asked = time.monotonic()
        return self._waits

    def needed(self, level: Level) -> tuple[Wait, ...]:
        """The waits that ``level`` needs, probed at most every 10 s: after a failover another server may answer. Raises
        ``DurabilityUnsupported``."""
        if level == "process":
            return ()
        if level == "replicated":
            return ("WAIT",)
        if self._file is None or time.monotonic() - self._file_asked > _OFFER_S:
            self._file = self._synced_file()
            self._file_asked = time.monotonic()
        return self._file

    def check(self, level: Level) -> list[str]:
        """Warnings for the operator, at the start. Raises ``DurabilityUnsupported``."""
        if level == "replicated" and "WAIT" not in self.all():
            return [
                "DURABILITY is replicated, but no replica follows this Redis, so callbacks need the spool: add one."
            ]
        slow = self.needed(level) == ("WAITAOF",) and self._config("appendfsync") not in {"always", None}
        return [
            "DURABILITY is fsync: each callback waits up to a second unless Redis has appendfsync always."
        ] * slow

    def _ask(self) -> tuple[Wait, ...]:
        try:
            info: dict[str, Any] = self._redis.info("persistence") | self._redis.info("replication")
        except UNAVAILABLE:
            raise
        except RedisError:
            return ()
        waits: list[Wait] = []
        if int(info.get("aof_enabled", 0)) and self._waitaof_fault() is None:
            waits.append("WAITAOF")
        if int(info.get("connected_slaves", 0)):
            waits.append("WAIT")
        return tuple(waits)

    def _waitaof_fault(self) -> str | None:
        try:
            self._redis.execute_command("WAITAOF", 1, 0, 1)  # type: ignore[no-untyped-call]
        except UNAVAILABLE:
            raise
        except ResponseError as error:
            return str(error)
        return None

    def _synced_file(self) -> tuple[Wait, ...]:
        fault = self._waitaof_fault()
        if fault is None:
            return ("WAITAOF",)
        if "appendonly" in fault:
            raise DurabilityUnsupported(
                "DURABILITY is fsync, and Redis keeps no append-only file: set appendonly yes there."
            )
        if "replica" in fault:
            raise ReadOnlyError("this Redis is a replica now")
        # Before Redis 7.2 there is no WAITAOF: only a file that is synced with every write is durable.
        if self._config("appendonly") is None:
            raise DurabilityUnsupported(
                "DURABILITY is fsync: this Redis has no WAITAOF (Redis 7.2, Valkey 7.2), and this user may not ask "
                "whether it has appendonly yes and appendfsync always: grant +config|get."
            )
        if self._config("appendonly") != "yes" or self._config("appendfsync") != "always":
            raise DurabilityUnsupported(
                "DURABILITY is fsync: this Redis has no WAITAOF (Redis 7.2, Valkey 7.2), so it needs "
                "appendonly yes and appendfsync always."
            )
        if self._config("no-appendfsync-on-rewrite") == "yes":
            raise DurabilityUnsupported(
                "DURABILITY is fsync: set no-appendfsync-on-rewrite no in this Redis."
            )
        return ()

    def _config(self, name: str) -> str | None:
        """A setting of the server (CONFIG GET); ``None`` if it refuses, as managed servers do."""
        try:
            found: Any = self._redis.config_get(name)
        except UNAVAILABLE:
            raise
        except RedisError:
            return None
        return decoded(found.get(name))
