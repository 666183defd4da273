"""Reports every few seconds that this process is alive, and what it could not store earlier, from its own thread."""

from __future__ import annotations

import threading
from contextlib import suppress

from redis.exceptions import RedisError

from app.store.processes.presence import Presence
from app.store.questions.floods import Floods
from app.store.tallies.tallies import Tallies

_EVERY_S = 4.0


class Reporter:
    """For one role, between ``start`` and ``stop``. While Redis is unavailable it waits."""

    def __init__(self, presence: Presence, tallies: Tallies, floods: Floods, role: str) -> None:
        self._presence = presence
        self._tallies = tallies
        self._floods = floods
        self._role = role
        self._stopped = threading.Event()
        self._callback_ms = self._reported_ms = 0

    def start(self) -> None:
        """Call it after a fork: threads do not survive one."""
        threading.Thread(target=self._run, name=f"presence of {self._role}", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def note_callback(self, at_ms: int) -> None:
        """A callback was stored; the next report says so. It costs a callback nothing in Redis."""
        self._callback_ms = at_ms

    def report(self) -> None:
        """Raises the error of Redis if it is unavailable; the next report then says the same."""
        self._presence.here(self._role)
        noted = self._callback_ms
        if noted != self._reported_ms:
            self._tallies.note_callback(noted)
            self._reported_ms = noted
        self._floods.note_pending()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(RedisError):
                self.report()
            self._stopped.wait(_EVERY_S)
