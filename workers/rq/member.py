"""One RQ worker: takes batches, has each performed in a process of its own, and clears up after those that died."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from rq import Queue, Worker
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from app.ci.incoming.payload import view
from app.settings import Settings
from app.store import UNAVAILABLE, Store, connect
from workers.rq.board import Board
from workers.rq.queue import queue
from workers.worker import tasks

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_PRESENT_S = 4.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0


class BatchWorker(Worker):
    """RQ's own worker, with a board. Of RQ's methods only those are extended that it calls for that purpose."""

    board: Board
    store: Store
    max_connection_wait_time = 5.0
    """RQ's own pause while Redis is away grows to a minute, for which all would wait afterwards."""
    _end_of_horse: int | None = None

    def handle_warm_shutdown_request(self) -> None:
        """SIGTERM: the current run may end; the rest of its batch is released to other workers."""
        self.board.stop = True
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    def handle_work_horse_killed(self, job: RQJob, retpid: int, ret_val: int, rusage: Any) -> None:
        self._end_of_horse = ret_val

    def execute_job(self, job: RQJob, queue: Queue) -> None:
        self._end_of_horse = None
        self.board.begin()
        super().execute_job(job, queue)
        if not self.board.ended:
            self._clear_up(list(job.args[0]))

    def _clear_up(self, run_ids: list[str]) -> None:
        how = f"its process {_how(self._end_of_horse)}"
        if 0 < self.board.kill_at <= time.monotonic():
            how = "took longer than its timeout, and could not be interrupted: its process was ended"
        log.error("a batch of %d runs ended early: %s", len(run_ids), how)
        try:
            tasks.clear_up(self.store, run_ids, self.board.pid, how)
        except UNAVAILABLE:
            log.warning("its runs could not be released; they are due again when their leases expire")


def _how(status: int | None) -> str:
    """The end of a process in words, from its wait status; ``None`` stands for an exit with 0."""
    if status is None or os.WIFEXITED(status):
        return f"exited with code {os.waitstatus_to_exitcode(status or 0)}, before the run had ended"
    number = os.WTERMSIG(status)
    return f"was ended by signal {number} ({signal.Signals(number).name})"


def work(settings: Settings) -> None:
    """Be a worker until SIGTERM, or until the parent process has died."""
    store = Store.open(
        settings.redis_url, settings.key_prefix, timeout=10, trust_outputs=settings.trust_outputs, view=view
    )
    board = Board()
    tasks.use(store, board)
    logging.getLogger("rq.worker").addFilter(_is_no_outage)
    _await_redis(store)
    # RQ blocks on its connection on purpose, for 15 s less than `worker_ttl`, and gives it a time-out 10 s beyond that:
    # so long a worker does not notice that its Redis host has vanished.
    connection = connect(settings.redis_url, timeout=None)
    options: dict[str, Any] = {"worker_ttl": 18, "maintenance_interval": 30, "job_monitoring_interval": 10}
    worker = BatchWorker(
        [queue(settings, connection)],
        connection=connection,
        serializer=JSONSerializer,
        log_job_description=False,
        **options,
    )
    worker.board, worker.store = board, store
    for target in (_present, _watch):
        threading.Thread(
            target=target, args=(worker, os.getppid()), name=target.__name__, daemon=True
        ).start()
    worker.work(logging_level="WARNING", with_scheduler=False)


def _await_redis(store: Store) -> None:
    """RQ's worker ends where it cannot announce itself; so it begins when that can be done."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            store.presence.probe()
        except UNAVAILABLE:
            time.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        else:
            return


def _is_no_outage(record: logging.LogRecord) -> bool:
    """RQ logs an outage of Redis at each try; our client logs it once."""
    error = record.exc_info[1] if record.exc_info else None
    said = str(record.msg)
    return not (
        isinstance(error, UNAVAILABLE) or "to Redis instance" in said or "Redis connection timeout" in said
    )


def _present(worker: BatchWorker, _parent: int) -> None:
    """Report that this worker is running. A thread of the worker: it also runs during a batch."""
    while True:
        with suppress(*UNAVAILABLE):
            worker.store.presence.here("worker")
        time.sleep(_PRESENT_S)


def _watch(worker: BatchWorker, parent: int) -> None:
    """Kill a batch whose handler cannot be interrupted from inside; stop in order when nobody looks after us."""
    while True:
        time.sleep(_LOOK_S)
        kill_at = worker.board.kill_at
        if kill_at and time.monotonic() > kill_at and worker.horse_pid:
            log.error("a handler ignores its timeout; killing its process %d", worker.horse_pid)
            worker.kill_horse()
        if os.getppid() != parent and not worker.board.stop:
            log.error("the parent process died; stopping after the current run")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(2 * _LOOK_S)
