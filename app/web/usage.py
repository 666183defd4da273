"""What each callback URL costs this process: requests in this minute, and bytes of bodies at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.store.accept.news import UrlLimit
from app.web.problems import Problem

_REMEMBERED = 10_000
"""The most URLs that are remembered as over their limits."""
BYTES_AT_ONCE: Final = 16 * 2**20
"""Of one URL's bodies: some seven thousand usual callbacks. A leaked URL could otherwise fill the memory with bodies
that never end, on thousands of connections."""


class UrlUsage:
    """Requests of each URL in this minute, bodies that are being read, and until when a URL is refused. For use by
    several threads.

    Only the minute is by the clock on the wall. A refusal ends by the monotonic clock: the other may be set back, and
    the URL would be refused for longer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._reading: dict[str, int] = {}

    @contextmanager
    def reading(self, token: str, size: int) -> Iterator[None]:
        """The block reads a body of at most ``size`` bytes of the URL with this fingerprint. Raises ``Problem`` if
        there is no room, unless it is the URL's only body."""
        with self._lock:
            used = self._reading.get(token, 0)
            if used and used + size > BYTES_AT_ONCE:
                raise Problem(
                    "too_many_callbacks",
                    f"{BYTES_AT_ONCE} bytes of bodies are being read for this callback URL. Nothing was stored; "
                    "send it again after Retry-After.",
                    retry_after=1,
                )
            self._reading[token] = used + size
        try:
            yield
        finally:
            with self._lock:
                left = self._reading.pop(token, 0) - size
                if left > 0:
                    self._reading[token] = left

    def count(self, token: str, limit: UrlLimit) -> int:
        """Count one request of the URL with this fingerprint. Returns for how many seconds it is refused, or 0."""
        now = time.time()
        with self._lock:
            left = self._left(token)
            if left > 0:
                return _seconds(left)
            if self._minute != int(now // 60):
                self._minute, self._counts = int(now // 60), {}
            self._counts[token] = self._counts.get(token, 0) + 1
            return _seconds(60 - now % 60) if self._counts[token] > limit.per_minute else 0

    def refuse(self, token: str, seconds: int) -> bool:
        """Refuse the URL for ``seconds``; false if it is refused already."""
        with self._lock:
            if self._left(token) > 0:
                return False
            self._until.pop(token, None)
            if len(self._until) >= _REMEMBERED:
                # The oldest goes: if it is still over its limits, Redis answers so and it is remembered again.
                del self._until[next(iter(self._until))]
            self._until[token] = time.monotonic() + seconds
            return True

    def _left(self, token: str) -> float:
        """For how many seconds it is refused; not above 0 if it is not."""
        until = self._until.get(token)
        return 0.0 if until is None else until - time.monotonic()


def _seconds(left: float) -> int:
    return max(1, int(left) + 1)
