"""How much of ``SPOOL_MAX`` is in use, by all processes together."""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.spool.aside import ASIDE
from app.spool.files import NEW, SUFFIX

_REFRESH_S = 0.2
_MARGIN = 16 * 2**10
"""The spool counts as full at this distance from the limit: the next callback may not fit."""


class Room:
    """Sizes in bytes. Only ``reserve`` keeps state: it is called by one thread at a time."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._used = 0
        self._read_at = 0.0

    def sizes(self) -> tuple[int, int]:
        """Bytes that are pending, and bytes that are set aside."""
        pending = aside = 0
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    try:
                        size = entry.stat().st_size
                    except FileNotFoundError:
                        continue  # drained since
                    if entry.name.endswith(ASIDE):
                        aside += size
                    elif SUFFIX in entry.name or entry.name.endswith(NEW):
                        pending += size
        except FileNotFoundError:
            return 0, 0
        return pending, aside

    def oldest_s(self) -> float:
        """Seconds since the oldest pending file was opened: its name says when."""
        try:
            opened = [int(path.name.partition("-")[0]) for path in self._folder.glob(f"*{SUFFIX}")]
        except (OSError, ValueError):
            return 0.0
        return max(0.0, (time.time_ns() - min(opened)) / 1e9) if opened else 0.0

    def full(self) -> bool:
        return self._in_use() + _MARGIN > self._limit

    def reserve(self, size: int, share: float) -> bool:
        """Count ``size`` more bytes, unless they would exceed ``share`` of the limit.

        The folder is read a few times a second only: processes may together exceed the limit by what they write in
        that time.
        """
        now = time.monotonic()
        if now - self._read_at > _REFRESH_S:
            self._used, self._read_at = self._in_use(), now
        if self._used + size > self._limit * share:
            return False
        self._used += size
        return True

    def _in_use(self) -> int:
        """Records that are set aside have the same room again; what exceeds it counts as pending, so that none has to
        be deleted."""
        pending, aside = self.sizes()
        return pending + max(0, aside - self._limit)
