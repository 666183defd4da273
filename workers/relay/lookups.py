"""Runs of `check_outputs`: the relay performs them on threads of its own, since they only wait for COS.

A worker process that waits for COS would hold up every handler; so these runs have a schedule of their own and do
not go through RQ. Leases, tries and back-off are those of every run.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from app.core.clock import now_ms
from app.core.processes import process_name
from app.store import UNAVAILABLE, Event, Store
from app.store.runs.run import Run, Start
from workers import registry
from workers.outputs import ReadableJob
from workers.relay.held_runs import RENEW_S, HeldRuns
from workers.run_log import about_run, log_end
from workers.worker.lease_keeper import LEASE_S
from workers.worker.tasks import Failed, ending, raised

log = logging.getLogger(__name__)

THREADS = 8
"""Checks at a time in each relay: fewer than the connections that Tencent's SDK keeps open."""
_WHILE_BUSY = 1
"""Checks at a time while runs of handlers wait to be sent: each HEAD takes milliseconds of this process in the SDK."""
_IDLE_S = 5.0
"""How often it looks for due runs. New ones of this relay wake it; others are retried ones and those of dead relays."""


class Lookups:
    """Performs what is due on free threads; set ``news`` when runs were made."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="look-up")
        self._held = HeldRuns(store.runs, LEASE_S)
        self.news = threading.Event()

    def step(self) -> None:
        """Start due checks; if there are none, wait for news, a free thread or the next due time."""
        self._held.beat()
        room = self._allowed() - len(self._held)
        ids = self._store.schedules.take_lookups(room, LEASE_S) if room > 0 else []
        # A run whose time was up may still wait for COS here, although it is due again.
        for each in self._held.claim(ids):
            self._pool.submit(self._one, each)
        if not ids:
            self._wait(has_room=room > 0)

    def _allowed(self) -> int:
        return _WHILE_BUSY if self._store.schedules.backlog().due else THREADS

    def _wait(self, *, has_room: bool) -> None:
        due = self._store.schedules.next_lookup_s() if has_room else None
        pause = _IDLE_S if due is None else min(_IDLE_S, max(0.02, due))
        self.news.wait(min(pause, RENEW_S) if self._held else pause)
        self.news.clear()

    def close(self, until: float) -> None:
        """Start nothing more, and wait for running checks until then; others are retried when their leases end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while self._held.begun() and time.monotonic() < until:
            time.sleep(0.02)

    def _one(self, run_id: str) -> None:
        try:
            self._perform(run_id)
        except UNAVAILABLE as error:
            log.debug("run %s is retried when its lease ends: %s", run_id, type(error).__name__)
        except Exception:
            log.exception("run %s could not be recorded; it is retried when its lease ends", run_id)
        finally:
            self._held.release(run_id)
            self.news.set()

    def _perform(self, run_id: str) -> None:
        run = self._store.runs.get(run_id)
        if run is None:
            return
        handler = registry.get(run.handler)
        start = Start(run_id, LEASE_S, handler.tries if handler else 1, process_name())
        number = self._store.runs.start(start)
        if number < 1:
            return
        started = now_ms()
        self._held.begin(run_id, number, started, handler.timeout if handler else 0.0)
        event = self._store.runs.event(run.event_id)
        with about_run(run, event):
            end = ending(run, number, started, self._attempt(run, handler, event))
            self._store.runs.finish(end)
            log_end(log, run, end)

    def _attempt(self, run: Run, handler: registry.Handler | None, event: Event | None) -> Failed | None:
        if handler is None:
            return Failed("CHECK_OUTPUTS is off", final=True)
        if event is None:
            return Failed("the event has expired", final=True)
        try:
            handler.function(event, cast(ReadableJob, self._store.jobs.lean(event)))
        except Exception as error:
            return raised(error)
        return None
