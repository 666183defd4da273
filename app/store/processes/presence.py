"""Which processes are alive, of which release; and a probe that writes to Redis."""

from __future__ import annotations

from collections import Counter
from typing import Any

from app.core.processes import RELEASE, process_name
from app.redis.scripts import decoded_all, script
from app.store.database import Database

ALIVE_MS = 15_000


class Presence:
    """Each web process, relay and worker reports every few seconds. All times are by the clock of Redis."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._name = f"{process_name()} {RELEASE}"
        self._here = script(db.client, "here")
        self._seen = script(db.client, "seen")

    def here(self, *roles: str) -> None:
        """Report that this process is alive, in each of these roles."""
        self._here(keys=[self._db.key("presence", role) for role in roles], args=[self._name, 100 * ALIVE_MS])

    def seen(self, role: str) -> int:
        """How many processes of that role have reported within ``ALIVE_MS``."""
        return int(self._seen(keys=[self._db.key("presence", role)], args=[ALIVE_MS]))

    def memory(self) -> tuple[int, int]:
        """Bytes that Redis uses, and ``maxmemory`` or 0. Raises ``ResponseError`` if our user may not run INFO."""
        info: Any = self._db.client.info("memory")
        return int(info["used_memory"]), int(info.get("maxmemory", 0))

    def releases(self, role: str) -> Counter[str]:
        """How many live processes of that role run each release; '' for a release that did not report its own."""
        seconds, microseconds = self._db.client.time()
        since = seconds * 1000 + microseconds // 1000 - ALIVE_MS
        found = decoded_all(
            self._db.client.zrange(self._db.key("presence", role), since, "+inf", byscore=True)
        )
        return Counter(name.partition(" ")[2] for name in found)

    def probe(self) -> None:
        """Write a key. Raises the error of Redis if it cannot store anything."""
        self._db.client.set(self._db.key("probe"), "1", ex=60)
