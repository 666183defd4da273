"""How many bytes of one callback URL's bodies a process reads at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.web.problems import Problem

BYTES_AT_ONCE: Final = 16 * 2**20
"""For one URL: some seven thousand usual callbacks. A leaked URL could otherwise fill the memory with bodies that never
end, on thousands of connections."""


class BodyRoom:
    """Counts by URL. For use by several threads."""

    def __init__(self, most: int = BYTES_AT_ONCE) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}

    @contextmanager
    def reading(self, token: str, size: int) -> Iterator[None]:
        """The block reads a body of at most ``size`` bytes of the URL with this fingerprint. Raises ``Problem`` if
        there is no room, unless it is the URL's only body."""
        with self._lock:
            used = self._used.get(token, 0)
            if used and used + size > self._most:
                raise Problem(
                    "too_many_callbacks",
                    f"Bodies of {self._most} bytes are being read at once for this callback URL. Nothing was stored; "
                    "send it again after Retry-After.",
                    retry_after=1,
                )
            self._used[token] = used + size
        try:
            yield
        finally:
            with self._lock:
                self._used[token] -= size
                if not self._used[token]:
                    del self._used[token]
