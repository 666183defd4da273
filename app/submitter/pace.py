"""How fast jobs are handed to CI. CI publishes no rate: it says ``SlowDown``, and then everyone has to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event, Lock

from app.core.backoff import delay

_PAUSE_S, _PAUSE_MAX_S = 0.5, 10.0
_INTERVAL_S, _INTERVAL_MAX_S = 0.02, 5.0
_RECOVERY = 0.9


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to send once; ``round`` tells whether CI has slowed us down since it was given."""

    round: int


class Pace:
    """Shared by all threads that submit together, so that a ``SlowDown`` for one of them slows them all.

    Each refusal pauses everyone, for as long as CI says or else doubling with jitter, and doubles the time between two
    requests; each success shortens that again.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self._lock = Lock()
        self._closed = Event()
        self._least = 1 / per_second if per_second else 0.0
        self._interval = self._least
        self._opens = 0.0
        self._round = 0
        self._refused = 0

    def turn(self, until: float) -> Turn | None:
        """Wait until it is our turn. ``None``, at once, where that comes only after ``until`` (monotonic seconds), or
        when the pace is closed."""
        while True:
            with self._lock:
                now = time.monotonic()
                if self._opens <= now:
                    self._opens = now + self._interval
                    return Turn(self._round)
                if self._opens > until:
                    return None
                wait = self._opens - now
            # Somebody else may be quicker, or CI may ask for a longer pause: look again then.
            if self._closed.wait(wait):
                return None

    def close(self) -> None:
        """Nobody has to wait any longer: there are no more turns for those who do."""
        self._closed.set()

    def slower(self, turn: Turn, retry_after: float | None) -> None:
        """CI did not take it for want of time. Refusals of requests that were under way together count as one."""
        with self._lock:
            if turn.round == self._round:
                self._round += 1
                self._refused += 1
                self._interval = min(max(self._interval * 2, _INTERVAL_S), _INTERVAL_MAX_S)
            pause = delay(self._refused, _PAUSE_S, _PAUSE_MAX_S)
            self._opens = max(self._opens, time.monotonic() + max(retry_after or 0.0, pause))

    def faster(self, turn: Turn) -> None:
        """CI took one."""
        with self._lock:
            if turn.round == self._round:
                self._refused = 0
                shorter = self._interval * _RECOVERY
                self._interval = shorter if shorter > max(self._least, _INTERVAL_S / 2) else self._least
