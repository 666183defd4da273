"""The RQ queue of a lane, and the RQ jobs that carry batches of runs, described for ``rq info`` and rq-dashboard.

RQ's documentation: https://python-rq.org/docs/
"""

from __future__ import annotations

import secrets

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from app.core.processes import process_name
from app.settings import Settings
from app.settings.lanes import DEFAULT_LANE

_TASK = "workers.worker.tasks.perform"


def queue(settings: Settings, connection: Redis, lane: str = DEFAULT_LANE) -> Queue:
    """``<KEY_PREFIX without its colon>:<lane>``, such as ``ci:default``: several installations may share one Redis.

    A worker process serves one queue: RQ loses a job whose worker is killed right after the pop if it serves two.
    """
    prefix = settings.key_prefix.strip(":") or "ci"
    return Queue(f"{prefix}:{lane}", connection=connection, serializer=JSONSerializer)


def worker_name() -> str:
    """Host, process id, and something random: a container that is started again has the same host and process id, and
    RQ refuses a worker whose name is registered already."""
    return f"{process_name()}-{secrets.token_hex(2)}"


def send(to: Queue, batches: list[list[str]]) -> None:
    """Enqueue batches of run ids. RQ's own retries and results stay unused: our record of runs has them."""
    jobs = [
        Queue.prepare_data(
            _TASK,
            args=(batch,),
            timeout=-1,
            result_ttl=0,
            failure_ttl=60,
            description=job_description(batch, to.name.rpartition(":")[2]),
        )
        for batch in batches
    ]
    if jobs:
        to.enqueue_many(jobs)


def job_description(batch: list[str], lane: str = DEFAULT_LANE) -> str:
    """``3 runs in lane default, first: log_end for event 0e04…``; run ids hold an event id and a handler's name."""
    event_id, _, handler = batch[0].partition("|")
    runs = "1 run" if len(batch) == 1 else f"{len(batch)} runs"
    return f"{runs} in lane {lane}, first: {handler} for event {event_id}"
