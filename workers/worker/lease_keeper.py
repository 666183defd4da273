"""A thread that watches the current run: renews its lease, and stops it from delaying the rest of its batch."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.store import UNAVAILABLE
from app.store.runs.runs import Runs
from workers.rq.shared_flags import SharedFlags

log = logging.getLogger(__name__)

CLAIM_S = 15.0
"""A try whose worker has been silent for that long is taken to be dead, and the run is started again.
Shorter: a machine that stalls has healthy runs started twice. Longer: dead ones wait longer."""
GRACE_S = 5.0
"""How long after its time is up a handler that does not let itself be interrupted may live."""
PATIENCE_S = 1.0
"""How long the rest of a batch waits for the current run before it is released to other workers."""
_BEAT_S = 4.0
_TICK_S = 0.5


@dataclass(slots=True)
class _Attended:
    run_id: str
    number: int
    began: float
    end: float
    beaten: float
    is_slow: bool = False


class LeaseKeeper:
    """One for each batch. ``slow`` is called once for each run that takes longer than a moment."""

    def __init__(self, runs: Runs, flags: SharedFlags, slow: Callable[[], object]) -> None:
        self._runs = runs
        self._flags = flags
        self._slow = slow
        self._current: _Attended | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def attending(self, run_id: str, number: int, timeout: float) -> Iterator[None]:
        """While the block lasts, this try is kept claimed; past ``timeout`` and a grace, its process is ended."""
        now = time.monotonic()
        self._flags.kill_at = now + timeout + GRACE_S
        self._current = _Attended(run_id, number, now, now + timeout + GRACE_S, now)
        if self._thread is None:
            self._thread = threading.Thread(target=self._attend, name="keeper", daemon=True)
            self._thread.start()
        try:
            yield
        finally:
            self._current = None
            self._flags.kill_at = 0.0

    def _attend(self) -> None:
        while True:
            self._wake.wait(_TICK_S)
            current = self._current
            if current is not None:
                try:
                    self._look_at(current)
                except UNAVAILABLE:
                    # Its claim runs out if that lasts; the client has said that Redis cannot be used.
                    continue
                except Exception as error:
                    log.warning(
                        "could not renew the lease of run %s: %s", current.run_id, type(error).__name__
                    )

    def _look_at(self, current: _Attended) -> None:
        now = time.monotonic()
        if now > current.end:
            # The worker does the same from outside, where a handler cannot hinder it; but a worker may be dead.
            log.error("run %s ignores its timeout; exiting its process", current.run_id)
            os._exit(70)
        if now - current.beaten >= _BEAT_S:
            current.beaten = now
            if not self._runs.beat(current.run_id, current.number, CLAIM_S) and self._current is current:
                log.warning("run %s has lost its lease; another worker may run it too", current.run_id)
        if not current.is_slow and now - current.began > PATIENCE_S:
            current.is_slow = True
            self._slow()
