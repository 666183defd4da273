"""Workers: ``python -m workers.worker`` starts ``WORKER_PROCESSES`` of them, and another for each that ends."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import time

from app.core.backoff import doubled
from app.provider import wire  # noqa: F401 - workers ask CI: imported before the fork, so that they share the SDK
from app.redis.outage import OUTAGE
from app.settings import Settings
from app.store import UNAVAILABLE
from workers.rq import member
from workers.start import checked_settings

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_TOO_SOON_S = 10.0
"""A worker that lived shorter than that is replaced after a pause, which doubles each time."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TICK_S = 0.2


class Crew:
    """Keeps ``WORKER_PROCESSES`` workers running. Handlers are imported before the fork, to share memory."""

    def __init__(self, chosen: Settings) -> None:
        self._settings = chosen
        self._began: dict[int, float] = {}
        self._next_start = 0.0
        self._short_lives = 0
        self._stopping = False
        self._logging_pid = 0

    def keep(self) -> int:
        """Run until SIGTERM, then until the current runs have ended. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # A collection in a member would write to the pages it shares with this process, and copy them.
        gc.collect()
        gc.freeze()
        while self._began or not self._stopping:
            self._reap()
            if not self._stopping and time.monotonic() >= self._next_start:
                while len(self._began) < self._settings.worker_processes:
                    self._start()
            time.sleep(_TICK_S)
        return 0

    def _start(self) -> None:
        parent, logs_outages = os.getpid(), self._logging_pid not in self._began
        pid = os.fork()
        if pid == 0:
            # All workers see the same outage of Redis; one of them logs it.
            OUTAGE.silent = not logs_outages
            os._exit(_be_member(self._settings, parent))
        if logs_outages:
            self._logging_pid = pid
        self._began[pid] = time.monotonic()

    def _reap(self) -> None:
        for pid, began in list(self._began.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._began[pid]
            if self._stopping:
                continue
            lived, pause = time.monotonic() - began, 0.0
            if lived < _TOO_SOON_S:
                self._short_lives += 1
                pause = doubled(self._short_lives, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
                self._next_start = time.monotonic() + pause
            else:
                self._short_lives = 0
            code = os.waitstatus_to_exitcode(status)
            log.error("worker %d exited (%d); starting another in %.0f s", pid, code, pause)

    def _stop(self, number: int, _frame: object) -> None:
        """Pass the signal on. At a second one workers end without waiting for their runs (RQ's cold shutdown)."""
        self._stopping = True
        for pid in self._began:
            os.kill(pid, number)


def _be_member(chosen: Settings, parent: int) -> int:
    """Be a worker; the exit code. The Redis client logs why Redis cannot be used."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _end_with_parent()
    if os.getppid() != parent:
        return 1
    try:
        member.work(chosen)
    except SystemExit:
        return 1
    except UNAVAILABLE:
        return 1
    except Exception:
        log.exception("worker %d failed", os.getpid())
        return 1
    return 0


def _end_with_parent() -> None:
    """On Linux the kernel sends SIGTERM when the parent dies (prctl(2)); elsewhere a thread of the worker polls."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> int:
    chosen = checked_settings("worker")
    # RQ logs an outage of Redis at each try; the client logs it once.
    logging.getLogger("rq").setLevel(logging.ERROR)
    log.info("ready: %d workers", chosen.worker_processes)
    return Crew(chosen).keep()


if __name__ == "__main__":
    sys.exit(main())
