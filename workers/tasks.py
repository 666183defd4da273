"""What an RQ job does: a batch of runs, each claimed, performed and recorded by itself."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rq.timeouts import UnixSignalDeathPenalty

from app.store import Store
from app.store.clock import now_ms, rfc3339
from app.store.runs import Run
from workers import registry
from workers.registry import GiveUp, Handler, Later

log = logging.getLogger(__name__)

CLAIM_S = 15.0
"""A try whose worker has been silent for that long is taken to be dead, and the run is started again."""
_BEAT_S = 4.0
_GRACE_S = 5.0
"""How long after its time is up a handler that does not let itself be interrupted may live."""

_store: Store | None = None


class TimedOut(Exception):
    """The handler took longer than its ``timeout``."""


def use(store: Store) -> None:
    """The store of this worker. Its connections are opened anew in each forked process."""
    global _store  # noqa: PLW0603 - RQ calls perform() with nothing but ids
    _store = store


def perform(run_ids: list[str]) -> None:
    """Perform these runs one after the other. What cannot be claimed is somebody else's, or done."""
    if _store is None:
        raise RuntimeError("tasks.use() has not been called: start workers with `python -m workers.worker`")
    for run_id in run_ids:
        _one(_store, run_id)


def _one(store: Store, run_id: str) -> None:
    run = store.runs.get(run_id)
    if run is None:
        return
    handler = registry.get(run.handler)
    number = store.runs.start(run_id, claim_s=CLAIM_S, tries=handler.tries if handler else 1, worker=_name())
    if number < 1:
        return
    started = now_ms()
    failed = _attempt(store, run, handler, number)
    ended = now_ms()
    entry: dict[str, Any] = {
        "n": number,
        "started_at": rfc3339(started),
        "ended_at": rfc3339(ended),
        "ms": ended - started,
        "worker": _name(),
        "error": failed.error if failed else None,
    }
    if failed and failed.trace:
        entry["traceback"] = failed.trace
    counted = number - run.forgiven
    if failed is None:
        store.runs.finish(run_id, number, "done", entry)
    elif handler is None or failed.final or counted >= handler.tries:
        store.runs.finish(run_id, number, "failed", entry)
    else:
        pause = handler.pause(counted) if failed.again_in_s is None else failed.again_in_s
        store.runs.finish(run_id, number, "waiting", entry, again_in_s=pause)


@dataclass(frozen=True, slots=True)
class _Failed:
    """What went wrong in one try, and what the handler wished for next."""

    error: str
    trace: str | None = None
    final: bool = False
    again_in_s: float | None = None


def _attempt(store: Store, run: Run, handler: Handler | None, number: int) -> _Failed | None:
    """What went wrong; ``None`` if nothing did."""
    event = store.runs.event(run.event_id)
    if handler is None or event is None:
        what = (
            f"the handler {run.handler!r} is in none of HANDLERS" if handler is None else "the event is gone"
        )
        return _Failed(what, final=True)
    try:
        with _beating(store, run.id, number, handler.timeout), _limited(handler.timeout):
            handler.function(event, store.jobs.at(event))
    except TimedOut:
        return _Failed(f"took longer than {handler.timeout:g} s")
    except GiveUp as error:
        return _Failed(f"gave up: {error}"[:500], final=True)
    except Later as error:
        return _Failed(f"later: {error}"[:500], again_in_s=error.seconds)
    except (Exception, SystemExit) as error:
        log.warning("run %s, try %d: %s", run.id, number, type(error).__name__)
        return _Failed(f"{type(error).__name__}: {error}"[:500], traceback.format_exc()[-4000:])
    return None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    with UnixSignalDeathPenalty(max(1, int(seconds + 0.999)), TimedOut):  # type: ignore[no-untyped-call]
        yield


@contextmanager
def _beating(store: Store, run_id: str, number: int, timeout: float) -> Iterator[None]:
    """Prolong the claim while the handler is at it; end the process of one that cannot be interrupted."""
    done = threading.Event()

    def beat() -> None:
        until = time.monotonic() + timeout + _GRACE_S
        while not done.wait(_BEAT_S):
            if time.monotonic() > until:
                log.error("run %s ignores its timeout; ending its process", run_id)
                os._exit(70)
            try:
                store.runs.beat(run_id, number, CLAIM_S)
            except Exception as error:
                log.warning("could not prolong the claim of run %s: %s", run_id, type(error).__name__)

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
