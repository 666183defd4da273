"""Delivers events to the endpoints of ``FORWARD_URLS``, signed, and to the chats of ``CHAT_WEBHOOK``, each by itself
(docs/forwarding.md, docs/events.md).

Deliveries do not go through RQ: they need no process of their own, and a worker that waits for a slow endpoint would
hold up every handler. The relay sends them, with a few threads and a schedule for each endpoint.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from app.core.backoff import delay
from app.core.clock import now_ms, rfc3339
from app.core.event_kinds import TROUBLES
from app.core.network.outward import Blocked, Unreachable
from app.core.processes import process_name
from app.settings import Settings
from app.settings.chats import Chat
from app.settings.endpoints import Endpoint
from app.store import UNAVAILABLE, Event, Store
from app.store.deliveries.deliveries import DeliveryOutcome
from app.store.runs.run import End, Run, Start
from workers.forward.chat import chat_message, chat_result
from workers.forward.delivery_result import DeliveryResult, result_of
from workers.forward.http_post import PostLimits, post
from workers.forward.message import message
from workers.relay.held_runs import HeldRuns
from workers.run_log import about_run, log_end

log = logging.getLogger(__name__)

DELIVERY_HANDLER = "forward"
CHAT_HANDLER = "chat"
_BACKOFF_MAX_S = 4 * 3600.0
_LEASE_MARGIN_S = 10.0
"""Seconds that a lease lasts beyond the request's timeout; after them its relay counts as dead."""
_RESOLVE_S = 60.0
"""Seconds for which a lease is renewed beyond the request's timeout, which begins when the endpoint's name is resolved:
a resolver that does not answer takes half a minute."""
_IDLE_S = 1.0
_OUTCOMES: Final[Mapping[str, DeliveryOutcome]] = {
    "done": "delivered",
    "failed": "failed",
    "waiting": "retried",
}
_GIVE_UP_INTERVAL_S = 30.0
_UNKNOWN_WHY = "the endpoint is no longer in FORWARD_URLS or CHAT_WEBHOOK"
_UNKNOWN_S = 600.0
"""How long deliveries wait for an endpoint that is not in the settings: during a rollout relays differ."""


def delivery_handler(endpoint: Endpoint | Chat) -> str:
    """The handler that runs of this endpoint name."""
    return CHAT_HANDLER if isinstance(endpoint, Chat) else DELIVERY_HANDLER


def endpoints_for(event: Event, endpoints: Iterable[Endpoint | Chat]) -> list[Endpoint | Chat]:
    """The endpoints whose filters this event matches; none for news that starts no handlers."""
    if not event.runs_handlers and event.kind not in TROUBLES:
        return []
    bucket = (event.report.get("input") or {}).get("bucket")
    return [each for each in endpoints if each.wants(event.kind, event.tag, event.state, bucket)]


class Forwarder:
    """Delivers to one endpoint, up to ``FORWARD_CONCURRENCY`` requests at a time; set ``news`` when runs were made."""

    def __init__(self, store: Store, settings: Settings, endpoint: Endpoint | Chat) -> None:
        self._store = store
        self._settings = settings
        self.endpoint = endpoint
        self._bounds = PostLimits(settings.forward_timeout, settings.forward_allow_private)
        self._lease_s = settings.forward_timeout + _LEASE_MARGIN_S
        self._threads = settings.forward_concurrency
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="forward")
        self._held = HeldRuns(store.runs, self._lease_s)
        self.news = threading.Event()

    def step(self) -> None:
        """Start due deliveries on free threads; if there are none, wait for news, a thread or the next due time."""
        self._held.beat()
        room = self._threads - len(self._held)
        ids = self._store.deliveries.take(self.endpoint.name, room, self._lease_s) if room else []
        for each in self._held.claim(ids):
            self._pool.submit(self._one, each)
        if not ids:
            due = self._store.deliveries.next_due_s(self.endpoint.name) if room else None
            self.news.wait(_IDLE_S if due is None else min(_IDLE_S, max(0.02, due)))
            self.news.clear()

    def close(self, until: float) -> None:
        """Start nothing more, wait for running deliveries until then (``time.monotonic()``), and release the rest:
        another relay delivers them again at once."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while self._held and time.monotonic() < until:
            time.sleep(0.02)
        for run_id, held in self._held.begun():
            stopped = DeliveryResult("the relay stopped before the endpoint answered")
            log.warning("%s: released run %s without an answer; it is retried", self.endpoint.name, run_id)
            with suppress(*UNAVAILABLE):
                entry = _entry(held.number, held.started, stopped)
                self._store.runs.finish(End(run_id, held.number, "waiting", entry))

    def _one(self, run_id: str) -> None:
        try:
            self._deliver(run_id)
        except UNAVAILABLE as error:
            log.debug("run %s is retried when its lease ends: %s", run_id, type(error).__name__)
        except Exception:
            log.exception("delivery of run %s failed; it is retried when its lease ends", run_id)
        finally:
            self._held.release(run_id)
            self.news.set()

    def _deliver(self, run_id: str) -> None:
        run = self._store.runs.get(run_id)
        if run is None:
            return
        tries = self._settings.forward_tries
        number = self._store.runs.start(Start(run_id, self._lease_s, tries, process_name()))
        if number == -1:
            self._store.deliveries.count(self.endpoint.name, "failed")
        if number < 1:
            return
        started = now_ms()
        self._held.begin(run_id, number, started, self._bounds.total_s + _RESOLVE_S)
        event = self._store.runs.event(run.event_id)
        with about_run(run, event):
            result = self._attempt(run, event)
            self._record(run, number, result, _entry(number, started, result))

    def _attempt(self, run: Run, event: Event | None) -> DeliveryResult:
        if event is None:
            return DeliveryResult("the event has expired", final=True, ours=True)
        event, job = replace(event, count=run.count), self._store.jobs.of_event(event)
        try:
            if isinstance(self.endpoint, Chat):
                return chat_result(
                    post(*chat_message(self.endpoint, event, job, self._settings), self._bounds)
                )
            body, headers = message(event, job, self._settings)
            return result_of(post(self.endpoint.url, body, headers, self._bounds))
        except Blocked as error:
            return DeliveryResult(str(error), final=True)
        except Unreachable as error:
            return DeliveryResult(str(error)[:500], trouble=True)

    def _record(self, run: Run, number: int, result: DeliveryResult, entry: dict[str, Any]) -> None:
        end = self._end(run, number, result, entry)
        if not self._store.runs.finish(end):
            log.warning("run %s, try %d ended after its lease; its result is not stored", run.id, number)
            return
        deliveries, endpoint = self._store.deliveries, self.endpoint.name
        log_end(log, run, end, result.error or "")
        if result.error is None:
            deliveries.succeeded(endpoint)
        elif result.trouble:
            deliveries.in_trouble(endpoint, result.error, result.again_in_s)
        elif not result.ours:
            deliveries.refused(endpoint, result.error)
        deliveries.count(endpoint, _OUTCOMES[end.state])

    def _end(self, run: Run, number: int, result: DeliveryResult, entry: dict[str, Any]) -> End:
        counted = number - run.forgiven
        if result.error is None:
            return End(run.id, number, "done", entry)
        if result.final or counted >= self._settings.forward_tries:
            return End(run.id, number, "failed", entry)
        pause = max(result.again_in_s or 0.0, self._pause(counted))
        return End(run.id, number, "waiting", entry, pause)

    def _pause(self, tries: int) -> float:
        return delay(tries, self._settings.forward_backoff, _BACKOFF_MAX_S)


def give_up_stranded(store: Store, settings: Settings, stopping: threading.Event) -> None:
    """Deliveries to an endpoint that stayed out of order for ``FORWARD_LIFE``, or that is no longer configured, become
    failures, which people can retry."""
    configured = {each.name for each in settings.endpoints}
    for endpoint in store.deliveries.endpoints():
        if endpoint in configured:
            why = f"the endpoint was down for all of FORWARD_LIFE ({settings.forward_life:g} s)"
            store.deliveries.expire(endpoint, settings.forward_life, why)
        elif not store.deliveries.expire(endpoint, _UNKNOWN_S, _UNKNOWN_WHY):
            store.deliveries.forget(endpoint)
    stopping.wait(_GIVE_UP_INTERVAL_S)


def _entry(number: int, started: int, result: DeliveryResult) -> dict[str, Any]:
    """The record of a try; ``started`` is in milliseconds since 1970."""
    entry: dict[str, Any] = {
        "n": number,
        "started_at": rfc3339(started),
        "ended_at": rfc3339(now_ms()),
        "ms": now_ms() - started,
        "worker": process_name(),
        "error": result.error,
        "status": result.status,
    }
    if result.text:
        entry["answer"] = result.text
    return entry
