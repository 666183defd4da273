"""What is silent is seen, and asked: jobs past their deadline, and those whose callback does not come to us."""

from __future__ import annotations

import logging
import threading

from app import reconcile
from app.provider import ProviderError, Refused, Throttled
from app.services import Services
from app.store import Job

log = logging.getLogger(__name__)

_COUNT = 10
_PUT_OFF_S = 60.0
_IDLE_S = 0.5


def step(services: Services, stopping: threading.Event) -> None:
    """Ask CI about the jobs that are due; wait a moment if there are none."""
    ids = services.store.due.take(_COUNT, _PUT_OFF_S)
    if not ids:
        stopping.wait(_IDLE_S)
        return
    jobs = [job for job in map(services.store.jobs.get, ids) if job is not None]
    for gone in set(ids) - {job.job_id for job in jobs}:
        services.store.due.drop(gone)
    # Place by place: that one cannot be asked says nothing of the others.
    for there in reconcile.by_place(services, jobs).values():
        _ask(services, there, stopping)


def _ask(services: Services, jobs: list[Job], stopping: threading.Event) -> None:
    try:
        answered = reconcile.ask(services, jobs)
    except Refused as error:
        if len(jobs) == 1:
            _later(services, jobs, error, stopping)
            return
        # A stranger may have made up an id that spoils the question: it must not spoil it for the others.
        for job in jobs:
            _ask(services, [job], stopping)
        return
    except ProviderError as error:
        _later(services, jobs, error, stopping)
        return
    for job in jobs:
        if job.job_id not in answered:
            # CI does not know it (any more): perhaps never, perhaps not yet.
            _put_off(services, job)


def _later(services: Services, jobs: list[Job], error: ProviderError, stopping: threading.Event) -> None:
    log.warning("CI could not be asked: %s", error)
    for job in jobs:
        _put_off(services, job)
    if isinstance(error, Throttled):
        stopping.wait(getattr(error, "retry_after", None) or 5.0)


def _put_off(services: Services, job: Job) -> None:
    services.store.due.put_off(job.job_id, reconcile.pause(services.store.due.asked(job.job_id)))
    services.store.due.asked_again(job.job_id)
