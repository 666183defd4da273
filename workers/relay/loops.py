"""The relay: several may run, and each may be killed at any moment.

Its loops, each a thread: events become runs, due runs go to RQ, events are delivered to each endpoint of FORWARD_URLS,
CI is asked (`app/reconcile`), and what is past its retention is removed. A loop that raises is logged and continues; if
one of its threads ends, the process exits with 1, and whatever runs it (systemd, a container) starts it again.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable

from app.core import traces
from app.core.processes import process_name
from app.reconcile import due_jobs, floods, lost_submissions, missing_records
from app.redis.outage import OUTAGE
from app.services import Services
from app.store import UNAVAILABLE
from workers import registry
from workers.forward import forwarder as forward
from workers.health import BEAT_S, report_here
from workers.relay import feed, lookups, retention
from workers.rq import dispatch
from workers.rq.queue import queue
from workers.start import checked_settings

log = logging.getLogger(__name__)

stop_requested = threading.Event()
_AWAY_S = 1.0
_STOP_S = 7.0
"""Grace period for current work after SIGTERM: `docker stop` kills after ten seconds."""


def main() -> int:
    """The exit code: 0 after SIGTERM, 1 when a loop cannot go on, so that the process is started again."""
    chosen = checked_settings("relay")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    traces.open_traces("relay")
    services = Services.open(chosen, timeout=10)
    forwarders = [forward.Forwarder(services.store, chosen, each) for each in chosen.endpoints]
    checks = lookups.Lookups(services.store)
    threads = [
        threading.Thread(target=_loop, args=(name, step), name=name, daemon=True)
        for name, step in _loops(services, forwarders, checks).items()
    ]
    for thread in threads:
        thread.start()
    if chosen.metrics_port:
        # Imported only then: it takes 2 MB.
        from app.metrics.port import serve_metrics  # noqa: PLC0415

        serve_metrics(chosen, chosen.metrics_port)
    log.info("ready")
    return _wait(threads) or _stop(threads, [*forwarders, checks])


def _loops(
    services: Services, forwarders: list[forward.Forwarder], checks: lookups.Lookups
) -> dict[str, Callable[[], object]]:
    """The loops by their names in the log: each is a function that does one step, or waits if nothing is due."""
    store, chosen = services.store, services.settings
    news = threading.Event()
    # The store's own connections: with others, runs could be taken from a new primary and sent to the old one.
    dispatcher = dispatch.Dispatcher(store, lambda lane: queue(chosen, store.db.client, lane))
    feeder = feed.Feeder(store, process_name(), chosen.endpoints)
    audit = missing_records.Audit(services)
    return {
        "feed": lambda: (
            _wake([news, checks.news, *(each.news for each in forwarders)]) if feeder.step() else None
        ),
        "look-ups": checks.step,
        "dispatch": lambda: dispatcher.step(news),
        "due jobs": lambda: due_jobs.step(services, stop_requested),
        "lost submissions": lambda: lost_submissions.step(services, stop_requested),
        "floods": lambda: floods.step(services, stop_requested),
        "missing records": lambda: audit.step(stop_requested),
        "retention": lambda: retention.step(services, stop_requested),
        "schema": lambda: _keep_schema(services),
        "presence": lambda: _report_presence(services),
        "health": _report_health,
        "declare": lambda: _declare_handlers(services),
        "lanes": lambda: _declare_lanes(services),
        "endpoints": lambda: forward.give_up_stranded(store, chosen, stop_requested),
        **{f"forward {each.endpoint.name}": each.step for each in forwarders},
    }


def _wait(threads: list[threading.Thread]) -> int:
    """0 when the relay has to stop, 1 when one of its threads died."""
    while not stop_requested.wait(1.0):
        if dead := [thread.name for thread in threads if not thread.is_alive()]:
            log.error("the loop %s died; stopping the relay, whose runner starts it again", ", ".join(dead))
            stop_requested.set()
            return 1
    return 0


def _stop(threads: list[threading.Thread], pools: list[forward.Forwarder | lookups.Lookups]) -> int:
    until = time.monotonic() + _STOP_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    for each in pools:
        each.close(until)
    traces.close_traces()
    return 0


_turned: dict[str, float] = {}
"""When each loop last began a step (``time.monotonic()``)."""
_ALWAYS_TURN = ("feed", "dispatch")
"""Loops whose steps are short; the steps of others wait for CI, or remove many records."""
_HANGS_S = 120.0


def _report_health() -> None:
    """To `python -m workers.health relay`; not while a loop hangs."""
    now = time.monotonic()
    hanging = [name for name in _ALWAYS_TURN if now - _turned.get(name, now) > _HANGS_S]
    if hanging:
        log.error("the loop %s hangs, so the health check fails; restart the relay", ", ".join(hanging))
    else:
        report_here("relay", OUTAGE.cause or "all loops are running")
    stop_requested.wait(BEAT_S)


def _loop(name: str, step: Callable[[], object]) -> None:
    while not stop_requested.is_set():
        _turned[name] = time.monotonic()
        try:
            step()
        except UNAVAILABLE:
            # The Redis client has logged the outage, once for all loops.
            stop_requested.wait(_AWAY_S)
        except Exception:
            # One bad event or answer must not stop the others. It stays pending and is read again.
            log.exception("the loop %s failed; it is tried again in a second", name)
            stop_requested.wait(1.0)


def _wake(waiting: list[threading.Event]) -> None:
    for each in waiting:
        each.set()


def _keep_schema(services: Services) -> None:
    """Migrate data of an earlier release. Not only at the start: Redis may have been away then, and processes of that
    release may still write."""
    services.store.schema.prepare()
    services.store.schema.take_over_stragglers()
    stop_requested.wait(60.0)


def _declare_handlers(services: Services) -> None:
    """Store the names of handlers, so that the API can refuse a replay for an unknown one."""
    services.store.runs.declare([*registry.handler_names(), forward.DELIVERY_HANDLER])
    stop_requested.wait(60.0)


def _declare_lanes(services: Services) -> None:
    """Store the lanes of handlers: the web service imports no handlers, and learns them from here."""
    services.store.lanes.declare(registry.lane_names())
    stop_requested.wait(30.0)


def _report_presence(services: Services) -> None:
    services.store.presence.here("relay")
    stop_requested.wait(4.0)
