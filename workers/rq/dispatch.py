"""Runs that are due go to RQ, in batches sized by the backlog: one when idle, up to two hundred under load.

RQ's cost is per job (a fork, some fifty Redis commands), so a job carries a batch. The queue in RQ is kept short:
the backlog stays in our own schedule, where it is not lost with RQ's job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache

from rq import Queue

from app.store import UNAVAILABLE, Store
from app.store.lanes.lanes import lane_role
from workers import registry
from workers.rq.queue import send

LARGEST = 200
_AHEAD = 2
"""RQ jobs queued for each worker: enough that no worker is idle, few enough that a lost job is noticed soon."""
_PUT_OFF_S = 20.0
"""A run that was sent and not started by then is sent again. It is performed once, because it takes a lease."""
_LOOK_S = 1.0
"""How often (seconds) the list of paused lanes is read."""
_IDLE_S = 1.0
_BUSY_S = 0.05
_AFTER_OUTAGE_S = 5.0
"""After an outage of Redis, leases may have ended only because they could not be renewed: healthy runs get that long to
renew theirs before anything is started again. Longer than the interval of renewal."""


class Dispatcher:
    """Sends what is due, as fast as the workers take it, each lane by itself."""

    def __init__(self, store: Store, queue_of: Callable[[str], Queue]) -> None:
        """``queue_of`` is the RQ queue of a lane."""
        self._store = store
        self._runs = store.runs
        self._schedules = store.schedules
        self._presence = store.presence
        self._queue_of = cache(queue_of)
        self._quiet_until = 0.0
        self._lanes: list[str] = []
        self._next_look = 0.0

    def step(self, news: threading.Event) -> None:
        """Send due runs; then wait for news, or until the next run is due."""
        try:
            if time.monotonic() < self._quiet_until:
                time.sleep(_BUSY_S)
            elif not sum([self._send_due(lane) for lane in self._open_lanes()]):
                self._wait(news)
        except UNAVAILABLE:
            self._quiet_until = time.monotonic() + _AFTER_OUTAGE_S
            raise

    def _open_lanes(self) -> list[str]:
        """All lanes that are not paused, as read at most ``_LOOK_S`` ago."""
        if time.monotonic() >= self._next_look:
            paused = self._store.lanes.paused()
            declared = [lane for lane in registry.lane_names() if lane not in paused]
            others = [lane for lane in self._store.lanes.names() if lane not in {*declared, *paused}]
            self._lanes = declared + others
            self._next_look = time.monotonic() + _LOOK_S
        return self._lanes

    def _send_due(self, lane: str) -> int:
        """How many batches were sent."""
        waiting = self._schedules.backlog(lane).due
        if not waiting:
            return 0
        room = _AHEAD * max(1, self._presence.seen(lane_role(lane))) - len(self._queue_of(lane))
        if room <= 0:
            return 0
        size = max(1, min(LARGEST, waiting // room))
        ids = self._schedules.take_due(size * room, _PUT_OFF_S, lane)
        sent = 0
        # Handlers may have moved to another lane since these runs were made.
        for now_in in dict.fromkeys(map(registry.lane_of_run, ids)):
            batches = self._batches([each for each in ids if registry.lane_of_run(each) == now_in], size)
            send(self._queue_of(now_in), batches)
            sent += len(batches)
        return sent

    def _wait(self, news: threading.Event) -> None:
        due = [self._schedules.next_due_s(lane) for lane in self._open_lanes()]
        pause = min([_IDLE_S, *(each for each in due if each is not None)])
        news.wait(max(_BUSY_S, pause))
        news.clear()

    def _batches(self, ids: list[str], size: int) -> list[list[str]]:
        """Runs that were started before go alone: one of them may have killed its process."""
        tried = dict(zip(ids, self._runs.started_before(ids), strict=True)) if ids else {}
        fresh = [each for each in ids if not tried[each]]
        batches = [fresh[n : n + size] for n in range(0, len(fresh), size)]
        return batches + [[each] for each in ids if tried[each]]
