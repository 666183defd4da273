"""How fast jobs are submitted. CI publishes no rate limit; when it answers ``SlowDown``, all threads slow down."""

from __future__ import annotations

import time
from threading import Event, Lock

from msgspec import Struct

from app.core.backoff import delay

_PAUSE_S, _PAUSE_MAX_S = 0.5, 10.0
_INTERVAL_S, _INTERVAL_MAX_S = 0.02, 5.0
_RECOVERY = 0.9


class Turn(Struct, frozen=True):
    """Permission to send once; ``round`` shows whether CI has throttled us since it was given."""

    round: int


class Pace:
    """Shared by all threads that submit together, so that a ``SlowDown`` for one of them slows them all.

    Each ``SlowDown`` pauses all of them, for CI's ``Retry-After`` or a back-off, and doubles the interval between two
    requests; each success shortens the interval again.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self._lock = Lock()
        self._closed = Event()
        self._least = 1 / per_second if per_second else 0.0
        self._interval = self._least
        self._opens = 0.0
        self._round = 0
        self._throttled = 0

    def turn(self, until: float) -> Turn | None:
        """Wait for our turn. ``None``, at once, if that would come after ``until`` (``time.monotonic()``), or if the
        pace is closed."""
        while True:
            with self._lock:
                now = time.monotonic()
                if self._opens <= now:
                    self._opens = now + self._interval
                    return Turn(self._round)
                if self._opens > until:
                    return None
                wait = self._opens - now
            # Another thread may be faster, or CI may ask for a longer pause: check again then.
            if self._closed.wait(wait):
                return None

    def close(self) -> None:
        """End all waiting: no thread gets a turn any more."""
        self._closed.set()

    def slower(self, turn: Turn, retry_after: float | None) -> None:
        """CI throttled the request. Requests that were in progress together count as one."""
        with self._lock:
            if turn.round == self._round:
                self._round += 1
                self._throttled += 1
                self._interval = min(max(self._interval * 2, _INTERVAL_S), _INTERVAL_MAX_S)
            pause = delay(self._throttled, _PAUSE_S, _PAUSE_MAX_S)
            self._opens = max(self._opens, time.monotonic() + max(retry_after or 0.0, pause))

    def faster(self, turn: Turn) -> None:
        """CI accepted a request."""
        with self._lock:
            if turn.round == self._round:
                self._throttled = 0
                shorter = self._interval * _RECOVERY
                self._interval = shorter if shorter > max(self._least, _INTERVAL_S / 2) else self._least
