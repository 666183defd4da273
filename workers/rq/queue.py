"""The one RQ queue: what is sent through it, and how."""

from __future__ import annotations

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from app.settings import Settings

_TASK = "workers.worker.tasks.perform"


def queue(settings: Settings, connection: Redis) -> Queue:
    """One queue for each installation, and one for each worker process: RQ loses jobs of workers that serve two."""
    return Queue(settings.key_prefix.strip(":") or "ci", connection=connection, serializer=JSONSerializer)


def send(to: Queue, batches: list[list[str]]) -> None:
    """Send batches of run ids. RQ's own retries, results and time-outs stay unused: our record has all that."""
    jobs = [
        Queue.prepare_data(_TASK, args=(batch,), timeout=-1, result_ttl=0, failure_ttl=60)
        for batch in batches
    ]
    if jobs:
        to.enqueue_many(jobs)
