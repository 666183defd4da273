"""The runs that one RQ job carries; those that it does not start are released to other workers."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress

from app.store import UNAVAILABLE
from app.store.schedules.schedules import Schedules
from workers.rq.shared_flags import SharedFlags

_BATCH_S = 2.0
"""After this long, a batch starts no further run: other workers may be idle."""


class Batch:
    """Hands out its runs one by one, to one thread; any thread may close it."""

    def __init__(self, schedules: Schedules, flags: SharedFlags, run_ids: list[str]) -> None:
        self._schedules = schedules
        self._flags = flags
        self._left = deque(run_ids)
        self._lock = threading.Lock()
        self._until = time.monotonic() + _BATCH_S

    def next(self) -> str | None:
        """The next run; ``None`` when the batch is over."""
        if self._flags.stop or time.monotonic() > self._until:
            self.close()
        with self._lock:
            return self._left.popleft() if self._left else None

    def close(self) -> None:
        """Start no further run: those that are left are due again at once, for any free worker; while Redis is away
        they stay as they are, and are due again when what the relay has put them off by is over."""
        with self._lock:
            rest = list(self._left)
            self._left.clear()
        if rest:
            # The end of the run before them is still to be recorded, so this must not raise.
            with suppress(*UNAVAILABLE):
                self._schedules.hand_back(rest)
