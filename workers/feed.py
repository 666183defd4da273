"""Events become runs: one for each handler and each endpoint that wants the event."""

from __future__ import annotations

import time

from app.endpoints import Endpoint
from app.store import Store
from app.store.outbox import Posted
from workers import registry
from workers.forward import HANDLER, wanting

_COUNT = 200
_BLOCK_MS = 1000
_IDLE_MS = 10_000
"""An entry that another relay has held for that long without acknowledging it is taken over."""
_KEEP = 10_000
"""Entries kept for those who listen and come back late."""
_CHORES_S = 5.0


class Feeder:
    """Reads the outbox as one consumer of the relays' group; acknowledges what has become runs."""

    def __init__(self, store: Store, name: str, endpoints: tuple[Endpoint, ...] = ()) -> None:
        self._store = store
        self._name = name
        self._endpoints = endpoints
        self._next_chores = 0.0
        self._opened = False

    def step(self) -> int:
        """Wait for events and make their runs; returns how many runs were made."""
        if not self._opened:
            self._store.outbox.open()
            self._opened = True
        made = self._plan(self._store.outbox.read(self._name, _COUNT, _BLOCK_MS))
        if time.monotonic() > self._next_chores:
            made += self._chores()
            self._next_chores = time.monotonic() + _CHORES_S
        return made

    def _chores(self) -> int:
        outbox = self._store.outbox
        # A Redis that came back empty has lost the group.
        outbox.open()
        made = self._plan(outbox.take_over(self._name, _IDLE_MS, _COUNT))
        outbox.trim(_KEEP)
        outbox.forget_idle_consumers(3600 * 1000)
        return made

    def _plan(self, posted: list[Posted]) -> int:
        made = 0
        for each in posted:
            wanted: list[tuple[str, str | None]] = [(h.name, None) for h in registry.wanting(each.event)]
            wanted += [(HANDLER, e.name) for e in wanting(each.event, self._endpoints)]
            if wanted:
                made += self._store.runs.plan(each.event, wanted)
        self._store.outbox.acknowledge(posted)
        return made
