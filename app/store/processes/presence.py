"""Which processes are alive, of which release, and whether Redis can really be written to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from app.core.processes import RELEASE, process_name
from app.redis.scripts import decoded_all, script
from app.store.database import Database

ALIVE_MS = 15_000


class Presence:
    """Each web process, relay and worker says every few seconds that it is there. All times are the server's own."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._name = f"{process_name()} {RELEASE}"
        self._here = script(db.client, "here")
        self._seen = script(db.client, "seen")

    def here(self, *roles: str) -> None:
        """This process is alive as each of these."""
        self._here(keys=[self._db.key("presence", role) for role in roles], args=[self._name, 100 * ALIVE_MS])

    def seen(self, role: str) -> int:
        """How many processes have reported within the last seconds."""
        return int(self._seen(keys=[self._db.key("presence", role)], args=[ALIVE_MS]))

    def memory(self) -> tuple[int, int]:
        """Bytes that Redis uses, and its limit, or 0. Raises ``ResponseError`` where this user may not ask."""
        said: Any = self._db.client.info("memory")
        return int(said["used_memory"]), int(said.get("maxmemory", 0))

    def releases(self, role: str) -> Counter[str]:
        """How many of those run each release; '' for one that named none."""
        seconds, microseconds = self._db.client.time()
        since = seconds * 1000 + microseconds // 1000 - ALIVE_MS
        found = decoded_all(
            self._db.client.zrange(self._db.key("presence", role), since, "+inf", byscore=True)
        )
        return Counter(name.partition(" ")[2] for name in found)

    def probe(self) -> None:
        """A real write. Raises what Redis says when it cannot keep anything."""
        self._db.client.set(self._db.key("probe"), "1", ex=60)
