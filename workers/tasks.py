"""What an RQ job does: a batch of runs, each claimed, performed and recorded by itself."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from app.store import UNAVAILABLE, Event, Job, Store
from app.store.clock import now_ms, rfc3339, to_ms
from app.store.runs import Run
from workers import registry
from workers.batch import Batch
from workers.board import Board
from workers.keeper import CLAIM_S, Keeper
from workers.registry import Handler

log = logging.getLogger(__name__)

_RECORD_S = 60.0
"""How long we try to write down how a run ended, while Redis is away; past it the run is started again."""
_PAUSE_AFTER_DEATH_S = 5.0
"""A run whose process died waits at most that long for its next try: it is rarely the run's own fault."""

_store: Store | None = None
_board: Board | None = None


class TimedOut(BaseException):
    """The handler took longer than its ``timeout``. Not an ``Exception``, so that few handlers swallow it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What went wrong in one try. ``spoils`` the process: nothing else is to be run in it."""

    error: str
    trace: str | None = None
    final: bool = False
    spoils: bool = False
    again_in_s: float | None = None


def use(store: Store, board: Board) -> None:
    """The store of this worker, and its board. Connections are opened anew in each forked process."""
    global _store, _board
    _store, _board = store, board


def perform(run_ids: list[str]) -> None:
    """Perform these runs one after the other. What cannot be claimed is somebody else's, or done."""
    if _store is None or _board is None:
        raise RuntimeError("tasks.use() has not been called: start workers with `python -m workers.worker`")
    _board.pid = os.getpid()
    batch = Batch(_store.runs, _board, run_ids)
    keeper = Keeper(_store.runs, _board, batch.close)
    while run_id := batch.next():
        if not _one(_store, keeper, run_id):
            batch.close()
    _board.ended = True


def _one(store: Store, keeper: Keeper, run_id: str) -> bool:
    """Perform one run; false if its process should not be used for another."""
    run = store.runs.get(run_id)
    if run is None:
        return True
    handler = registry.get(run.handler)
    number = store.runs.start(run_id, claim_s=CLAIM_S, tries=handler.tries if handler else 1, worker=name())
    if number < 1:
        return True
    started = now_ms()
    failed = _attempt(store, keeper, run, handler, number)
    record(store, run, number, started, failed)
    return not (failed and failed.spoils)


def record(
    store: Store, run: Run, number: int, started: int, failed: Failed | None, worker: str = ""
) -> None:
    """Write down how a try ended, and what comes next. ``started`` is milliseconds since 1970."""
    handler = registry.get(run.handler)
    ended = now_ms()
    entry: dict[str, Any] = {
        "n": number,
        "started_at": rfc3339(started),
        "ended_at": rfc3339(ended),
        "ms": ended - started,
        "worker": worker or name(),
        "error": failed.error if failed else None,
    }
    if failed and failed.trace:
        entry["traceback"] = failed.trace
    if failed is None:
        _insist(lambda: store.runs.finish(run.id, number, "done", entry))
    elif handler is None or failed.final or number >= handler.tries:
        _insist(lambda: store.runs.finish(run.id, number, "failed", entry))
    else:
        pause = handler.pause(number) if failed.again_in_s is None else failed.again_in_s
        _insist(lambda: store.runs.finish(run.id, number, "waiting", entry, again_in_s=pause))


def _insist(write: Callable[[], object]) -> None:
    """What was done must not be done again only because Redis was away for a moment."""
    until = time.monotonic() + _RECORD_S
    while True:
        try:
            write()
            return
        except UNAVAILABLE:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def _attempt(store: Store, keeper: Keeper, run: Run, handler: Handler | None, number: int) -> Failed | None:
    """What went wrong; ``None`` if nothing did."""
    event = store.runs.event(run.event_id)
    if handler is None or event is None:
        missing = (
            f"the handler {run.handler!r} is in none of HANDLERS" if handler is None else "the event is gone"
        )
        return Failed(missing, final=True)
    try:
        with keeper.attending(run.id, number, handler.timeout), _limited(handler.timeout):
            handler.function(event, job_at(store, event))
    except TimedOut:
        return Failed(f"took longer than {handler.timeout:g} s", spoils=True)
    except BaseException as error:
        log.warning("run %s, try %d: %s", run.id, number, type(error).__name__)
        spoils = isinstance(error, MemoryError) or not isinstance(error, Exception)
        return Failed(f"{type(error).__name__}: {error}"[:500], traceback.format_exc()[-4000:], spoils=spoils)
    return None


def job_at(store: Store, event: Event) -> Job:
    """The job as it was at the event, with what is known now about how we know it."""
    now = store.jobs.get(event.job_id)
    known = (
        now.model_dump() if now else {"submission": None, "verification": None, "source": None, "raw": None}
    )
    return Job.model_validate(known | event.report | {"version": event.version, "updated_at": event.at})


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupt the block when its time is up."""

    def time_is_up(_number: int, _frame: FrameType | None) -> None:
        raise TimedOut

    # The run before this one may have left anything behind.
    signal.signal(signal.SIGALRM, time_is_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def clear_up(store: Store, run_ids: list[str], pid: int, how: str) -> None:
    """The process of a batch has died: its run at work has failed, and the others are due again at once."""
    dead = name(pid)
    for run in store.runs.many(run_ids):
        if run.state == "running" and run.tries[-1].get("worker") == dead:
            handler = registry.get(run.handler)
            number = len(run.tries)
            pause = min(handler.pause(number), _PAUSE_AFTER_DEATH_S) if handler else 0.0
            record(store, run, number, _started(run), Failed(how, again_in_s=pause), worker=dead)
    store.runs.hand_back(run_ids)


def _started(run: Run) -> int:
    return to_ms(run.tries[-1].get("started_at")) or now_ms()


def name(pid: int | None = None) -> str:
    """How a try names the process that it was made in."""
    return f"{socket.gethostname()}-{pid or os.getpid()}"
