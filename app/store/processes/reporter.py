"""Reports every few seconds that this process is alive, from a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress

from redis.exceptions import RedisError

from app.store.processes.presence import Presence

_EVERY_S = 4.0


class Reporter:
    """For one role, between ``start`` and ``stop``. While Redis is unavailable it waits."""

    def __init__(self, presence: Presence, role: str) -> None:
        self._presence = presence
        self._role = role
        self._stopped = threading.Event()

    def start(self) -> None:
        """Call it after a fork: threads do not survive one."""
        threading.Thread(target=self._run, name=f"presence of {self._role}", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(RedisError):
                self._presence.here(self._role)
            self._stopped.wait(_EVERY_S)
