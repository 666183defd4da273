"""Runs that are due go to RQ, in batches sized by the backlog: one when idle, up to a hundred under load.

RQ's cost is per job (a fork, some fifty Redis commands), so a job carries a batch. The queue in RQ is kept short:
the backlog stays in our own schedule, where nothing of it can be lost or sent twice for long.
"""

from __future__ import annotations

import threading
import time

from rq import Queue

from app.store import UNAVAILABLE, Store
from workers.rq.queue import send

LARGEST = 100
_AHEAD = 2
"""RQ jobs queued for each worker: enough that no worker is idle, few enough that a lost job is noticed soon."""
_PUT_OFF_S = 20.0
"""A run that was sent and not started by then is sent again. It is performed once, because it takes a lease."""
_IDLE_S = 0.5
_BUSY_S = 0.05
_AFTER_OUTAGE_S = 5.0
"""After an outage of Redis, leases may have ended only because they could not be renewed: healthy runs get that long to
renew theirs before anything is started again. Longer than the interval of renewal."""


class Dispatcher:
    """Sends what is due, as fast as the workers take it."""

    def __init__(self, store: Store, to: Queue) -> None:
        self._runs = store.runs
        self._presence = store.presence
        self._to = to
        self._quiet_until = 0.0

    def step(self, news: threading.Event) -> None:
        """Send what is due; then wait for news, or for the next run to come due."""
        try:
            if time.monotonic() < self._quiet_until:
                time.sleep(_BUSY_S)
            elif not self._send_due():
                self._wait(news)
        except UNAVAILABLE:
            self._quiet_until = time.monotonic() + _AFTER_OUTAGE_S
            raise

    def _send_due(self) -> int:
        """How many runs were sent."""
        waiting = self._runs.backlog().due
        if not waiting:
            return 0
        room = _AHEAD * max(1, self._presence.seen("worker")) - len(self._to)
        if room <= 0:
            return 0
        size = max(1, min(LARGEST, waiting // room))
        batches = self._batches(self._runs.take_due(size * room, _PUT_OFF_S), size)
        send(self._to, batches)
        return len(batches)

    def _wait(self, news: threading.Event) -> None:
        next_due = self._runs.next_due_s()
        pause = _IDLE_S if next_due is None else min(_IDLE_S, next_due)
        news.wait(max(_BUSY_S, pause))
        news.clear()

    def _batches(self, ids: list[str], size: int) -> list[list[str]]:
        """Runs that were started before go alone: one of them may have killed its process."""
        tried = dict(zip(ids, self._runs.started_before(ids), strict=True)) if ids else {}
        fresh = [each for each in ids if not tried[each]]
        batches = [fresh[n : n + size] for n in range(0, len(fresh), size)]
        return batches + [[each] for each in ids if tried[each]]
