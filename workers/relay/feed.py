"""Events become runs: one for each handler and each endpoint that wants the event."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from redis.exceptions import ResponseError

from app.core import traces
from app.settings.chats import Chat
from app.settings.endpoints import Endpoint
from app.store import UNAVAILABLE, Event, Store
from app.store.events.event import RunTarget
from app.store.events.outbox import Posted
from workers import registry
from workers.forward.forwarder import delivery_handler, endpoints_for

log = logging.getLogger(__name__)

_COUNT = 200
_BLOCK_MS = 1000
_IDLE_MS = 10_000
"""An entry that another relay has read and not acknowledged for that long is taken over (XAUTOCLAIM)."""
_TIDY_S = 5.0


class Feeder:
    """Reads the outbox as one consumer of the relays' consumer group; acknowledges events whose runs are stored."""

    def __init__(self, store: Store, name: str, endpoints: Sequence[Endpoint | Chat] = ()) -> None:
        self._store = store
        self._name = name
        self._endpoints = endpoints
        self._next_tidy = 0.0

    def step(self) -> int:
        """Wait for events and make their runs; returns how many runs were made."""
        try:
            made = self._plan(self._store.outbox.read(self._name, _COUNT, _BLOCK_MS))
            if time.monotonic() > self._next_tidy:
                made += self._tidy()
                self._next_tidy = time.monotonic() + _TIDY_S
        except ResponseError as error:
            # A Redis that is new, or that lost its data, has no such consumer group.
            if "NOGROUP" not in str(error) and "no such key" not in str(error):
                raise
            self._store.outbox.open()
            return 0
        return made

    def _tidy(self) -> int:
        outbox = self._store.outbox
        made = self._plan(outbox.take_over(self._name, _IDLE_MS, _COUNT))
        outbox.trim()
        outbox.forget_idle_consumers(3600 * 1000)
        return made

    def _plan(self, posted: list[Posted]) -> int:
        if not posted:
            return 0
        try:
            with _steps(posted):
                made = self._store.runs.plan(
                    [(each.event, self._wanted(each.event)) for each in posted], registry.lanes_by_handler()
                )
        except UNAVAILABLE:
            raise
        except Exception:
            # One event cannot be planned: it stays pending and is read again, and the others go on.
            return self._plan_singly(posted)
        self._store.outbox.acknowledge(posted)
        return made

    def _plan_singly(self, posted: list[Posted]) -> int:
        made = 0
        for each in posted:
            try:
                made += self._store.runs.plan(
                    [(each.event, self._wanted(each.event))], registry.lanes_by_handler()
                )
                self._store.outbox.acknowledge([each])
            except UNAVAILABLE:
                raise
            except Exception:
                log.exception(
                    "could not create runs for event %s; it stays pending and is tried again",
                    each.event.event_id,
                )
        return made

    def _wanted(self, event: Event) -> list[RunTarget]:
        wanted: list[RunTarget] = [(each.name, None) for each in registry.handlers_for(event)]
        wanted += [(delivery_handler(each), each.name) for each in endpoints_for(event, self._endpoints)]
        return [each for each in wanted if event.only is None or event.only.means(each)]


@contextmanager
def _steps(posted: list[Posted]) -> Iterator[None]:
    """A span in each trace that these events are part of."""
    with ExitStack() as steps:
        for event in (each.event for each in posted if each.event.traceparent):
            step = steps.enter_context(traces.span("outbox", "consumer", event.traceparent))
            step.tell({"event_id": event.event_id, "job_id": event.job_id, "request_id": event.request_id})
        yield
