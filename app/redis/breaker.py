"""A circuit breaker: after a time-out, calls fail fast for a moment instead of waiting again."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue

PAUSE_S = 1.0
"""How long calls fail fast after a time-out. A longer pause sends more to the spool than necessary; a shorter one
makes more requests wait."""


CALLS = 32
"""Each running call holds a connection, and a web process may have thousands of requests. More calls at once would
compete for the processor until their answers seem to time out."""


class Breaker:
    """Closed: every caller may try. Open: no caller for ``pause_s`` seconds, then one at a time until one succeeds."""

    def __init__(self, pause_s: float = PAUSE_S, calls: int = CALLS) -> None:
        """``turns``: a call takes one and puts it back, so that at most ``calls`` run at the same time. A queue,
        because ``threading.Semaphore`` takes six locks for that."""
        self.turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(calls):
            self.turns.put(None)
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._closed = True
        self._next_try = 0.0

    def allows(self) -> bool:
        """Whether this caller may try now. A caller that gets True must report ``succeeded`` or ``failed``. If it
        dies first, the breaker stays open for one more pause."""
        if self._closed:
            return True
        with self._lock:
            now = time.monotonic()
            if not self._closed and now < self._next_try:
                return False
            self._next_try = now + self._pause_s
            return True

    def succeeded(self) -> None:
        self._closed = True

    def failed(self) -> None:
        with self._lock:
            self._closed = False
            self._next_try = time.monotonic() + self._pause_s
