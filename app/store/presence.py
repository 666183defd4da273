"""Which processes are alive, and whether Redis can really be written to."""

from __future__ import annotations

import os
import socket

from app.store.clock import now_ms
from app.store.connection import Database

ALIVE_MS = 15_000


class Presence:
    """Each relay and worker says every few seconds that it is there."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._name = f"{socket.gethostname()}-{os.getpid()}"

    def here(self, role: str) -> None:
        """This process is alive as ``role``."""
        key, now = self._db.key("presence", role), now_ms()
        pipe = self._db.client.pipeline(transaction=False)
        pipe.zadd(key, {self._name: now})
        pipe.zremrangebyscore(key, "-inf", now - 100 * ALIVE_MS)
        pipe.execute()

    def seen(self, role: str) -> int:
        """How many processes have said so lately."""
        return int(self._db.client.zcount(self._db.key("presence", role), now_ms() - ALIVE_MS, "+inf"))

    def probe(self) -> None:
        """A real write. Raises what Redis says when it cannot keep anything."""
        self._db.client.set(self._db.key("probe"), now_ms(), ex=60)
