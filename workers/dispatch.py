"""Runs that are due go to RQ, in batches sized by the backlog: one when idle, up to fifty under load.

RQ's cost is per job (a fork, some fifty Redis commands), so a job carries a batch. The queue in RQ is kept short:
the backlog stays in our own schedule, where nothing of it can be lost or sent twice for long.
"""

from __future__ import annotations

import threading

from rq import Queue

from app.store.runs import Runs
from workers.queue import send, workers

LARGEST = 50
_AHEAD = 2
"""RQ jobs that wait for each worker: enough that none is idle, few enough that a lost one is soon missed."""
_PUT_OFF_S = 20.0
"""A run that was sent and not started by then is sent again; it is performed only once, because it is claimed."""
_IDLE_S = 0.5


class Dispatcher:
    """Sends what is due, as fast as the workers take it."""

    def __init__(self, runs: Runs, to: Queue) -> None:
        self._runs = runs
        self._to = to

    def step(self, news: threading.Event) -> None:
        """Send what is due; then wait for news, or for the next run to come due."""
        room = _AHEAD * max(1, workers(self._to)) - len(self._to)
        waiting = self._runs.waiting()
        if room > 0 and waiting:
            size = max(1, min(LARGEST, waiting // room))
            send(self._to, self._batches(self._runs.take_due(size * room, _PUT_OFF_S), size))
            return
        next_due = self._runs.next_due_s()
        pause = 0.05 if waiting else min(_IDLE_S, next_due if next_due is not None else _IDLE_S)
        news.wait(max(0.01, pause))
        news.clear()

    def _batches(self, ids: list[str], size: int) -> list[list[str]]:
        """Runs that were started before go alone: one of them may be what killed its process."""
        tried = dict(zip(ids, self._runs.started_before(ids), strict=True)) if ids else {}
        fresh = [each for each in ids if not tried[each]]
        batches = [fresh[n : n + size] for n in range(0, len(fresh), size)]
        return batches + [[each] for each in ids if tried[each]]
