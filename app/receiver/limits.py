"""What one callback URL may cost (``CALLBACK_LIMITS``), as far as this process can tell without asking the store.

The exact counters are the store's: they are compared in the step that stores a callback, so that they cost no round trip.
Here the requests of this process are counted, also those that are refused, and what the store has answered is remembered:
so a flood is turned away right after the token, before its bodies are read, and also while Redis is away.
"""

from __future__ import annotations

import threading
import time

from app.callback_limits import CallbackLimits
from app.store.accept import UrlLimit
from app.tokens import Binding

_REMEMBERED = 10_000
"""URLs that are remembered as over their limits; more at a time would only be asked for again."""


def limit_of(binding: Binding, limits: CallbackLimits) -> UrlLimit:
    """What the URL of this binding may cost."""
    if binding.submission:
        return UrlLimit(limits.submission_per_minute, limits.submission_runs, bytes=limits.submission_bytes)
    return UrlLimit(
        limits.console_per_minute, limits.console_runs, bytes_per_minute=limits.console_bytes_per_minute
    )


class UrlUsage:
    """Requests of each URL in this minute, and until when a URL is refused. For use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def count(self, token: str, limit: UrlLimit) -> int:
        """Count one request of the URL with this fingerprint. Returns for how many seconds it is refused, or 0."""
        now = time.time()
        with self._lock:
            if self._until.get(token, 0) > now:
                return _seconds(self._until[token] - now)
            if self._minute != int(now // 60):
                self._minute, self._counts = int(now // 60), {}
            self._counts[token] = self._counts.get(token, 0) + 1
            return _seconds(60 - now % 60) if self._counts[token] > limit.per_minute else 0

    def refuse(self, token: str, seconds: int) -> bool:
        """Refuse the URL for so long; false if it is refused already."""
        now = time.time()
        with self._lock:
            if self._until.get(token, 0) > now:
                return False
            if len(self._until) >= _REMEMBERED:
                self._until = {each: until for each, until in self._until.items() if until > now}
            if len(self._until) < _REMEMBERED:
                self._until[token] = now + seconds
            return True


def _seconds(left: float) -> int:
    return max(1, int(left) + 1)
