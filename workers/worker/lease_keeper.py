"""A thread that watches the current run: it renews the lease, and releases the rest of the batch if the run is slow."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from app.store import UNAVAILABLE
from app.store.runs.runs import Runs
from workers.rq.shared_flags import SharedFlags

log = logging.getLogger(__name__)

LEASE_S = 15.0
"""How long a lease lasts without being renewed; then the worker counts as dead and the run is started again.
Shorter: a machine that stalls has healthy runs started twice. Longer: runs of dead workers wait longer."""
GRACE_S = 5.0
"""How long a handler that ignores the interruption at its timeout may go on before its process is ended."""
LEASE_PATIENCE_S = 1.0
"""How long the rest of a batch waits for the current run before it is released to other workers."""
_BEAT_S = 4.0
_TICK_S = 0.5


class _HeldRun(Struct):
    run_id: str
    number: int
    began: float
    end: float
    beaten: float
    is_slow: bool = False


class LeaseKeeper:
    """One for each batch. ``slow`` is called once for each run that takes longer than ``PATIENCE_S``."""

    def __init__(self, runs: Runs, flags: SharedFlags, slow: Callable[[], object]) -> None:
        self._runs = runs
        self._flags = flags
        self._slow = slow
        self._current: _HeldRun | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, run_id: str, number: int, timeout: float) -> Iterator[None]:
        """Renew the lease of this try while the block lasts. ``GRACE_S`` after ``timeout`` (seconds), exit."""
        now = time.monotonic()
        self._flags.kill_at = now + timeout + GRACE_S
        self._current = _HeldRun(run_id, number, now, now + timeout + GRACE_S, now)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="lease keeper", daemon=True)
            self._thread.start()
        try:
            yield
        finally:
            self._current = None
            self._flags.kill_at = 0.0

    def _watch(self) -> None:
        while True:
            self._wake.wait(_TICK_S)
            current = self._current
            if current is not None:
                try:
                    self._check(current)
                except UNAVAILABLE:
                    # The Redis client logs the outage. If it lasts, the lease ends.
                    continue
                except Exception as error:
                    log.warning(
                        "could not renew the lease of run %s; trying again: %s",
                        current.run_id,
                        type(error).__name__,
                    )

    def _check(self, current: _HeldRun) -> None:
        now = time.monotonic()
        if now > current.end:
            # The worker process does the same from outside, but it may have died.
            log.error("run %s ignores its timeout; exiting its process", current.run_id)
            os._exit(70)
        if now - current.beaten >= _BEAT_S:
            current.beaten = now
            if not self._runs.beat(current.run_id, current.number, LEASE_S) and self._current is current:
                log.warning(
                    "run %s has lost its lease, so another worker may perform it too; handlers must be idempotent",
                    current.run_id,
                )
        if not current.is_slow and now - current.began > LEASE_PATIENCE_S:
            current.is_slow = True
            self._slow()
