"""The task of an RQ job: performs a batch of runs; each is leased, performed and recorded separately."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from app.core import traces
from app.core.clock import now_ms, rfc3339, to_ms
from app.core.processes import process_name
from app.store import UNAVAILABLE, Event, Job, Store
from app.store.runs.run import OUTPUTS_HANDLER, End, Run, Start
from workers import declaration, registry
from workers.outputs import Objects, access_for, readable
from workers.registry import GiveUp, Later
from workers.rq.batch import Batch
from workers.rq.shared_flags import SharedFlags
from workers.run_log import about_run, log_end
from workers.worker.lease_keeper import LEASE_S, LeaseKeeper
from workers.worker.memory import bounded

log = logging.getLogger(__name__)

_RECORD_S = 60.0
"""How long recording a run's result is retried while Redis is away; after that the run itself is repeated."""
_PAUSE_AFTER_DEATH_S = 5.0
"""The longest wait for the next try of a run whose process died: the run itself is rarely the cause."""

T = TypeVar("T")


class Provision(Struct, frozen=True):
    """The client that handlers read outputs with, how long their links are valid (seconds), and by how many bytes their
    process may grow."""

    objects: Objects
    link_s: float
    memory: int | None


_store: Store | None = None
_flags: SharedFlags | None = None
_provision: Provision | None = None


class TimedOut(BaseException):
    """The handler took longer than its ``timeout``. Not an ``Exception``, so that few handlers swallow it."""


class Failed(Struct, frozen=True):
    """The error of one try. ``spoils``: the process is in an unknown state, and performs no further run."""

    error: str
    trace: str | None = None
    final: bool = False
    spoils: bool = False
    again_in_s: float | None = None


def use(store: Store, flags: SharedFlags, provision: Provision | None = None) -> None:
    """Set the store and the flags of this worker before it forks; each child opens connections of its own.
    ``provision`` is what handlers get besides event and job."""
    global _store, _flags, _provision
    _store, _flags, _provision = store, flags, provision


def perform(run_ids: list[str]) -> None:
    """Perform these runs one after the other. One whose lease is taken, or that is done, is skipped."""
    if _store is None or _flags is None:
        raise RuntimeError("tasks.use() has not been called: start workers with `python -m workers.worker`")
    _flags.pid = os.getpid()
    batch = Batch(_store.schedules, _flags, run_ids)
    traces.open_traces("worker")
    Performer(_store, batch, LeaseKeeper(_store.runs, _flags, batch.close), run_ids).run_all()
    traces.close_traces()
    _flags.ended = True


class Performer:
    """Performs a batch. One round trip records the end of a run and leases the next."""

    def __init__(self, store: Store, batch: Batch, keeper: LeaseKeeper, run_ids: list[str]) -> None:
        self._store = store
        self._batch = batch
        self._keeper = keeper
        self._runs = {run.id: run for run in store.runs.many(run_ids)}
        self._events = store.runs.events(run.event_id for run in self._runs.values())
        self._jobs = store.jobs.known(filter(None, (run.job_id for run in self._runs.values())))

    def run_all(self) -> None:
        end: End | None = None
        while (run := self._next()) or end:
            number = self._turn(end, run)
            end = self._one(run, number) if run and number > 0 else None

    def _next(self) -> Run | None:
        while run_id := self._batch.next():
            run = self._runs.get(run_id)
            # A relay of an earlier release has sent a look-up: the relay performs it when it is due again.
            if run and run.handler != OUTPUTS_HANDLER:
                return run
        return None

    def _turn(self, end: End | None, run: Run | None) -> int:
        """Record the end of one run, if there was one, and lease the next. Returns its try's number; 0: no lease."""
        runs = self._store.runs
        if run is None:
            if end:
                _insist(lambda: runs.finish(end))
            return 0
        handler = registry.get(run.handler)
        start = Start(run.id, LEASE_S, handler.tries if handler else 1, process_name())
        if end is None:
            return runs.start(start)
        return _insist(lambda: runs.finish_and_start(end, start))

    def _one(self, run: Run, number: int) -> End:
        """Perform one run, and return how it ended."""
        started = now_ms()
        with about_run(run, self._events.get(run.event_id)):
            failed = self._attempt(run, number)
            end = ending(run, number, started, failed)
            log_end(log, run, end)
        if failed and failed.spoils:
            self._batch.close()
        return end

    def _job(self, event: Event) -> Job | None:
        """The job for the handler; ``None`` if the event is a submission's own."""
        if not event.job_id:
            return None
        known = self._jobs[event.job_id]
        if _provision is None:
            return self._store.jobs.at(event, known)
        job = self._store.jobs.at(event, known, raw=False)
        access = access_for(self._store, _provision.objects, _provision.link_s, event, job)
        return readable(job, access, known.raw)

    def _attempt(self, run: Run, number: int) -> Failed | None:
        """The error; ``None`` if the handler succeeded."""
        handler, event = registry.get(run.handler), self._events.get(run.event_id)
        if handler is None:
            return Failed(f"no module in HANDLERS declares the handler {run.handler!r}", final=True)
        if event is None:
            return Failed("the event has expired", final=True)
        try:
            with (
                self._keeper.holding(run.id, number, handler.timeout),
                _limited(handler.timeout),
                bounded(_provision.memory if _provision else None),
            ):
                call = cast(Callable[[Event, Job | None], object], handler.function)
                job = self._job(event)
                labels = job.labels if job else event.labels
                answer = call(replace(event, labels=labels, count=run.count), job)
        except TimedOut:
            return Failed(f"took longer than {handler.timeout:g} s", spoils=True)
        except BaseException as error:
            return raised(error)
        if declaration.returned_unawaited(answer):
            return Failed(
                f"returned a {type(answer).__name__} that is not awaited, so nothing has run", final=True
            )
        return None


def raised(error: BaseException) -> Failed:
    """The failure that a handler's exception means."""
    if isinstance(error, GiveUp):
        return Failed(f"gave up: {error}"[:500], final=True)
    if isinstance(error, Later):
        return Failed(f"later: {error}"[:500], again_in_s=error.seconds)
    spoils = isinstance(error, MemoryError) or not isinstance(error, Exception)
    trace = "".join(traceback.format_exception(error))[-4000:]
    return Failed(f"{type(error).__name__}: {error}"[:500], trace, spoils=spoils)


def ending(run: Run, number: int, started: int, failed: Failed | None, worker: str = "") -> End:
    """The record of a try, and what comes next. ``started`` is in milliseconds since 1970."""
    ended = now_ms()
    entry: dict[str, Any] = {
        "n": number,
        "started_at": rfc3339(started),
        "ended_at": rfc3339(ended),
        "ms": ended - started,
        "worker": worker or process_name(),
        "error": failed.error if failed else None,
    }
    if failed is None:
        return End(run.id, number, "done", entry)
    if failed.trace:
        entry["traceback"] = failed.trace
    handler = registry.get(run.handler)
    counted = number - run.forgiven
    if handler is None or failed.final or counted >= handler.tries:
        return End(run.id, number, "failed", entry)
    pause = handler.pause(counted) if failed.again_in_s is None else failed.again_in_s
    return End(run.id, number, "waiting", entry, pause)


def _insist(write: Callable[[], T]) -> T:
    """Repeat a write while Redis is away: a run that is not recorded as done is performed again."""
    until = time.monotonic() + _RECORD_S
    while True:
        try:
            return write()
        except UNAVAILABLE:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupt the block when its time is up."""

    def time_is_up(_number: int, _frame: FrameType | None) -> None:
        raise TimedOut

    # The handler before this one may have changed both.
    signal.signal(signal.SIGALRM, time_is_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def release_batch(store: Store, run_ids: list[str], pid: int, how: str) -> None:
    """After the process of a batch died: record that its current run failed, and make the others due at once."""
    dead = process_name(pid)
    for run in store.runs.many(run_ids):
        if run.state == "running" and run.tries[-1].get("worker") == dead:
            handler = registry.get(run.handler)
            number = len(run.tries)
            pause = min(handler.pause(number - run.forgiven), _PAUSE_AFTER_DEATH_S) if handler else 0.0
            store.runs.finish(ending(run, number, _started(run), Failed(how, again_in_s=pause), dead))
    store.schedules.hand_back(run_ids)


def _started(run: Run) -> int:
    return to_ms(run.tries[-1].get("started_at")) or now_ms()
