"""Keeps workers running: starts ``WORKER_PROCESSES`` of them, and another for each that ends.

``--queues slow,default`` names the lanes that they serve; by default they are those of all handlers. Each process
serves one: RQ loses jobs of a worker that serves two queues and is killed.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from app.core.backoff import doubled
from app.provider import wire  # noqa: F401 - workers ask CI: imported before the fork, so that they share the SDK
from app.redis.outage import OUTAGE
from app.settings import Settings
from app.settings.lanes import is_lane_name
from app.store import UNAVAILABLE
from workers import registry
from workers.health import BEAT_S, report_here
from workers.rq import member
from workers.start import checked_settings
from workers.worker.lanes import divided
from workers.worker.metrics import MetricsProcess
from workers.worker.parent import STOP_SIGNALS, begin_child, stop_held

log = logging.getLogger(__name__)

_TOO_SOON_S = 10.0
"""A worker that ends sooner than that (seconds) is replaced after a pause, which doubles each time."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TICK_S = 0.5


class Crew:
    """Keeps a number of workers running for each lane. Handlers are imported before the fork, to share memory."""

    def __init__(self, chosen: Settings, wanted: Mapping[str, int]) -> None:
        """``wanted``: processes by lane."""
        self._settings = chosen
        self._wanted = wanted
        self._began: dict[int, tuple[str, float]] = {}
        self._next_start = dict.fromkeys(wanted, 0.0)
        self._short_lives = dict.fromkeys(wanted, 0)
        self._stopping = False
        self._logging_pid = 0
        self._metrics = MetricsProcess(chosen)
        self._next_report = 0.0

    def keep(self) -> int:
        """Run until SIGTERM, then until the current runs have ended. Returns the exit code."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        # A collection in a forked worker would write to the pages that it shares with this process, and copy them.
        gc.collect()
        gc.freeze()
        while self._began or not self._stopping:
            self._reap()
            if not self._stopping:
                self._fill()
                self._metrics.keep()
                self._report()
            time.sleep(_TICK_S)
        self._metrics.stop()
        return 0

    def _report(self) -> None:
        """To `python -m workers.health worker`, from the loop that replaces workers."""
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + BEAT_S
            report_here("worker", f"{len(self._began)} of {sum(self._wanted.values())} processes run")

    def _fill(self) -> None:
        """Start missing processes; a lane whose processes end at once delays no other lane."""
        there = Counter(lane for lane, _ in self._began.values())
        for lane, number in self._wanted.items():
            if time.monotonic() >= self._next_start[lane]:
                for _ in range(number - there[lane]):
                    self._start(lane)

    def _start(self, lane: str) -> None:
        parent, logs_outages = os.getpid(), self._logging_pid not in self._began
        with stop_held():
            if self._stopping:
                return  # A worker that starts now would not get the signal.
            pid = os.fork()
            if pid == 0:
                # All workers see the same outage of Redis; one of them logs it.
                OUTAGE.silent = not logs_outages
                os._exit(_be_member(self._settings, lane, parent))
            self._began[pid] = lane, time.monotonic()
        if logs_outages:
            self._logging_pid = pid

    def _reap(self) -> None:
        for pid, (lane, began) in list(self._began.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._began[pid]
            if self._stopping:
                continue
            lived, pause = time.monotonic() - began, 0.0
            if lived < _TOO_SOON_S:
                self._short_lives[lane] += 1
                pause = doubled(self._short_lives[lane], _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
                self._next_start[lane] = time.monotonic() + pause
            else:
                self._short_lives[lane] = 0
            code = os.waitstatus_to_exitcode(status)
            log.error("worker %d of lane %s exited (%d); starting another in %.0f s", pid, lane, code, pause)

    def _stop(self, number: int, _frame: object) -> None:
        """Pass the signal on. At a second one workers end without waiting for their runs (RQ's cold shutdown)."""
        self._stopping = True
        for pid in self._began:
            with suppress(ProcessLookupError):  # It has just been reaped.
                os.kill(pid, number)


def _be_member(chosen: Settings, lane: str, parent: int) -> int:
    """Run as a worker and return the exit code. The Redis client logs why Redis cannot be used."""
    begin_child()
    if os.getppid() != parent:
        return 1
    try:
        member.work(chosen, lane)
    except SystemExit:
        return 1
    except UNAVAILABLE:
        return 1
    except Exception:
        log.exception("worker %d failed", os.getpid())
        return 1
    return 0


def _wanted(chosen: Settings, arguments: Sequence[str]) -> dict[str, int]:
    """Processes by lane, by the command line and the settings. Exits with a message for an invalid name."""
    parser = argparse.ArgumentParser(prog="python -m workers.worker")
    parser.add_argument("--queues", help="comma list of lanes to serve; default: those of all handlers")
    named = parser.parse_args(arguments).queues
    lanes = [each.strip() for each in named.split(",") if each.strip()] if named else registry.lane_names()
    if wrong := [each for each in lanes if not is_lane_name(each)]:
        parser.error(f"{wrong[0]!r} is not a name of a lane: lower-case letters, digits, - and _, at most 32")
    for each in lanes:
        if each not in registry.lane_names():
            log.warning("no handler is in the lane %s; there are: %s", each, ", ".join(registry.lane_names()))
    return divided(chosen, list(dict.fromkeys(lanes)))


def main(arguments: Sequence[str] = ()) -> int:
    chosen = checked_settings("worker")
    wanted = _wanted(chosen, arguments)
    # RQ logs an outage of Redis at each try; the client logs it once.
    logging.getLogger("rq").setLevel(logging.ERROR)
    shares = ", ".join(f"{lane} {number}" for lane, number in wanted.items())
    log.info("ready: %d workers (%s)", sum(wanted.values()), shares)
    return Crew(chosen, wanted).keep()
