"""The relay: ``python -m workers.relay``. Several may run; each of its loops can die at any line.

Loops, each a thread: events become runs, runs that are due go to RQ, events go to each endpoint of FORWARD_URLS, and
CI is asked about overdue jobs and lost submissions.
A loop that fails says so and begins anew; one that cannot go on ends the process, and its runner starts it again.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from app import settings
from app.core import logs
from app.doctor import preflight
from app.store import UNAVAILABLE
from app.web.services import Services
from workers import check_outputs, registry
from workers.forward import forwarder as forward
from workers.relay import feed, flooded, lost, retention, silence
from workers.rq import dispatch
from workers.rq.queue import queue

log = logging.getLogger(__name__)

stopping = threading.Event()
_AWAY_S = 1.0
_STOP_S = 7.0
"""Grace period for current work after SIGTERM: `docker stop` kills after ten seconds."""


def main() -> int:
    logs.configure("relay")
    try:
        chosen = settings.load()
        registry.load(chosen.handlers)
        check_outputs.install(chosen)
        preflight.check(chosen)
    except settings.SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    preflight.ignore_reload()
    services = Services.open(chosen, timeout=10)
    news = threading.Event()
    # The store's own connections: with others, runs could be taken from a new primary and sent to the old one.
    sender = dispatch.Dispatcher(services.store, queue(chosen, services.store.db.client))
    feeder = feed.Feeder(services.store, f"{socket.gethostname()}-{os.getpid()}", chosen.forward_urls)
    forwarders = [forward.Forwarder(services.store, chosen, each) for each in chosen.forward_urls]
    audit = lost.Audit(services)
    loops: dict[str, Callable[[], object]] = {
        "feed": lambda: _tell(news, forwarders) if feeder.step() else None,
        "dispatch": lambda: sender.step(news),
        "silence": lambda: silence.step(services, stopping),
        "lost": lambda: lost.step(services, stopping),
        "flooded": lambda: flooded.step(services, stopping),
        "audit": lambda: audit.step(stopping),
        "retention": lambda: retention.step(services, stopping),
        "schema": lambda: _keep_schema(services),
        "presence": lambda: _present(services),
        "endpoints": lambda: forward.chores(services.store, chosen, stopping),
        **{f"forward {each.endpoint.name}": each.step for each in forwarders},
    }
    threads = [
        threading.Thread(target=_loop, args=(name, step), name=name, daemon=True)
        for name, step in loops.items()
    ]
    for thread in threads:
        thread.start()
    log.info("ready")
    while not stopping.wait(1.0):
        if not all(thread.is_alive() for thread in threads):
            log.error("a thread of the relay died; stopping the relay")
            stopping.set()
            return 1
    until = time.monotonic() + _STOP_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    for forwarder in forwarders:
        forwarder.close(until)
    return 0


def _loop(name: str, step: Callable[[], object]) -> None:
    while not stopping.is_set():
        try:
            step()
        except UNAVAILABLE:
            # The client has said so, once for all loops.
            stopping.wait(_AWAY_S)
        except Exception:
            # One bad event or answer must not stop the others; it comes again, and is seen in the log.
            log.exception("%s failed", name)
            stopping.wait(1.0)


def _tell(news: threading.Event, forwarders: list[forward.Forwarder]) -> None:
    for each in (news, *(forwarder.news for forwarder in forwarders)):
        each.set()


def _keep_schema(services: Services) -> None:
    """For a Redis that was away at the start, and for processes of an earlier release that still write."""
    services.store.schema.prepare()
    services.store.schema.take_over_stragglers()
    stopping.wait(60.0)


def _present(services: Services) -> None:
    services.store.presence.here("relay")
    stopping.wait(4.0)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Threads that wait for an answer of CI or of an endpoint would hold an ordinary exit.
    os._exit(code)
