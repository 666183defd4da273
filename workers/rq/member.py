"""One RQ worker: takes batches, performs each in a forked process, and releases the runs of a process that died."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from rq import Queue, Worker
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from app.ci.incoming.payload import detail_view
from app.core.backoff import delay
from app.provider import Provider
from app.services import provider_config
from app.settings import Settings
from app.store import UNAVAILABLE, Store, connect
from app.store.lanes.lanes import lane_role
from workers.rq.queue import queue, worker_name
from workers.rq.shared_flags import SharedFlags
from workers.worker import tasks
from workers.worker.lanes import memory_of

log = logging.getLogger(__name__)

_CHECK_S = 1.0
_REPORT_S = 4.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0


class BatchWorker(Worker):
    """RQ's worker, with flags shared with its child. It extends only methods that RQ documents or calls as hooks."""

    flags: SharedFlags
    store: Store
    lane: str
    max_connection_wait_time = 5.0
    """Seconds. RQ's own pause while Redis is away grows to a minute, and runs would wait for the rest of it."""
    _end_of_horse: int | None = None

    def handle_warm_shutdown_request(self) -> None:
        """SIGTERM: finish the current run; release the rest of its batch to other workers."""
        self.flags.stop = True
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    def handle_work_horse_killed(self, job: RQJob, retpid: int, ret_val: int, rusage: Any) -> None:
        self._end_of_horse = ret_val

    def execute_job(self, job: RQJob, queue: Queue) -> None:
        self._end_of_horse = None
        self.flags.begin()
        super().execute_job(job, queue)
        if not self.flags.ended:
            self._clear_up(list(job.args[0]))

    def _clear_up(self, run_ids: list[str]) -> None:
        how = f"its process {_how(self._end_of_horse)}"
        if 0 < self.flags.kill_at <= time.monotonic():
            how = "took longer than its timeout, and could not be interrupted: its process was ended"
        log.error("a batch of %d runs ended early: %s", len(run_ids), how)
        try:
            tasks.release_batch(self.store, run_ids, self.flags.pid, how)
        except UNAVAILABLE:
            log.warning(
                "could not release its runs while Redis is away; they are due again when their leases end"
            )


def _how(status: int | None) -> str:
    """The end of a process in words, from its wait status; ``None`` stands for an exit with 0."""
    if status is None or os.WIFEXITED(status):
        return f"exited with code {os.waitstatus_to_exitcode(status or 0)}, before the run had ended"
    number = os.WTERMSIG(status)
    return f"was ended by signal {number} ({signal.Signals(number).name})"


def work(settings: Settings, lane: str) -> None:
    """Be a worker of that lane until SIGTERM, or until the parent process dies."""
    store = Store.open(
        settings.redis_url,
        settings.key_prefix,
        timeout=10,
        trust_outputs=settings.trust_outputs,
        view=detail_view,
    )
    flags = SharedFlags()
    provider = Provider(provider_config(settings))
    tasks.use(store, flags, tasks.Provision(provider, settings.link_seconds, memory_of(settings, lane)))
    logging.getLogger("rq.worker").addFilter(_no_outage)
    _await_redis(store)
    # RQ blocks in BLMOVE for `worker_ttl` - 15 s, with a socket timeout 10 s longer: a worker may take that long to
    # notice that its Redis host has vanished.
    connection = connect(settings.redis_url, timeout=None)
    options: dict[str, Any] = {"worker_ttl": 18, "maintenance_interval": 30, "job_monitoring_interval": 10}
    worker = BatchWorker(
        [queue(settings, connection, lane)],
        name=worker_name(),
        connection=connection,
        serializer=JSONSerializer,
        log_job_description=False,
        **options,
    )
    worker.flags, worker.store, worker.lane = flags, store, lane
    for target in (_report_presence, _watch):
        threading.Thread(
            target=target, args=(worker, os.getppid()), name=target.__name__, daemon=True
        ).start()
    worker.work(logging_level="WARNING", with_scheduler=False)


def _await_redis(store: Store) -> None:
    """Wait until Redis takes writes: RQ's worker exits if it cannot register."""
    for failures in itertools.count(1):
        try:
            store.presence.probe()
        except UNAVAILABLE:
            time.sleep(delay(failures, _FIRST_PAUSE_S, _LONGEST_PAUSE_S))
        else:
            return


def _no_outage(record: logging.LogRecord) -> bool:
    """Drop RQ's own log lines about an outage of Redis, one for each try: the client logs an outage once."""
    error = record.exc_info[1] if record.exc_info else None
    text = str(record.msg)
    return not (
        isinstance(error, UNAVAILABLE) or "to Redis instance" in text or "Redis connection timeout" in text
    )


def _report_presence(worker: BatchWorker, _parent: int) -> None:
    """Report that this worker is running; a thread, so that it also does during a batch."""
    while True:
        with suppress(*UNAVAILABLE):
            worker.store.presence.here("worker", lane_role(worker.lane))
        time.sleep(_REPORT_S)


def _watch(worker: BatchWorker, parent: int) -> None:
    """Kill a batch whose handler ignores its timeout; stop in order if the parent process has died."""
    while True:
        time.sleep(_CHECK_S)
        kill_at = worker.flags.kill_at
        if kill_at and time.monotonic() > kill_at and worker.horse_pid:
            log.error("a handler ignores its timeout; killing its process %d", worker.horse_pid)
            worker.kill_horse()
        if os.getppid() != parent and not worker.flags.stop:
            log.error(
                "the parent process died; stopping after the current run, start `python -m workers.worker` again"
            )
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(2 * _CHECK_S)
