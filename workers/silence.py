"""What is silent is seen, and asked: jobs past their deadline, and those whose callback does not come to us."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from app import metrics, reconcile
from app.provider import ProviderError, Refused, Throttled
from app.reconcile import Place
from app.services import Services
from app.store import Job
from app.store.refusal import Refusal

log = logging.getLogger(__name__)

UNREADABLE = "AnswerUnreadable"

_COUNT = 50
"""One question to CI names that many jobs at most."""
_PUT_OFF_S = 120.0
_IDLE_S = 0.5
_GIVE_UP_AFTER = 8
"""Questions about the end of a job that CI does not know; then what we have been told stays, unconfirmed."""
_LONGEST_UNKNOWN_S = 6 * 3600.0


def step(services: Services, stopping: threading.Event) -> None:
    """Ask CI about the jobs that are due; wait a moment if there are none."""
    held = services.store.due.held_s()
    if held:
        stopping.wait(min(held, 1.0))
        return
    ids = services.store.due.take(_COUNT, _PUT_OFF_S)
    if not ids:
        stopping.wait(_IDLE_S)
        return
    jobs = [job for job in map(services.store.jobs.get, ids) if job is not None]
    jobs = [job for job in jobs if reconcile.why_not(job) is None]
    # Those that are gone, and those that CI would refuse to speak of for ever.
    for never in set(ids) - {job.job_id for job in jobs}:
        services.store.due.drop(never)
    for place, group in reconcile.by_place(services, jobs).items():
        _ask(services, place, group)


def _ask(services: Services, place: Place, jobs: Sequence[Job]) -> None:
    try:
        asked = reconcile.ask_place(services, place, jobs)
    except Throttled as error:
        _slow_down(services, jobs, error)
    except ProviderError as error:
        if len(jobs) > 1 and (isinstance(error, Refused) or error.code == UNREADABLE):
            # One of them may be what CI does not like, or what we cannot read.
            for job in jobs:
                _ask(services, place, [job])
        elif error.code == UNREADABLE:
            _unreadable(services, jobs[0], str(error))
        else:
            _in_vain(services, jobs, error)
    else:
        for job in jobs:
            if job.job_id in asked.unreadable:
                _unreadable(services, job, "see the line before")
            elif job.job_id not in asked.outcomes:
                _unknown(services, job)


def _slow_down(services: Services, jobs: Sequence[Job], error: Throttled) -> None:
    seconds = services.store.due.slow_down(error.retry_after)
    log.warning("CI wants to be asked less; nobody asks for %.0f s", seconds)
    for job in jobs:
        services.store.due.put_off(job.job_id, seconds + reconcile.pause(0))


def _in_vain(services: Services, jobs: Sequence[Job], error: ProviderError) -> None:
    log.warning("CI could not be asked about %d jobs: %s", len(jobs), error)
    for job in jobs:
        services.store.due.postpone(job.job_id, reconcile.pause(services.store.due.asked(job.job_id)))


def _unreadable(services: Services, job: Job, why: str) -> None:
    """CI's answer about it cannot be read: its history says so once, for people, and CI is asked again."""
    log.error(
        "CI's answer about job %s cannot be read (%s); see what CI's console says of it", job.job_id, why
    )
    metrics.ANSWERS_UNREADABLE.inc()
    entries, _ = services.store.jobs.history(job.job_id)
    if not entries or entries[-1].get("reason") != "answer_unreadable":
        services.store.refusals.note(Refusal("answer_unreadable", why, "", job_ids=(job.job_id,)))
    # That has CI asked at once; what could not be read a moment ago can wait.
    services.store.due.postpone(job.job_id, reconcile.pause(services.store.due.asked(job.job_id)))


def _unknown(services: Services, job: Job) -> None:
    """CI does not know it (any more): perhaps never, perhaps not yet."""
    asked = services.store.due.asked(job.job_id)
    if job.terminal and asked >= _GIVE_UP_AFTER:
        log.warning("CI does not know job %s, which is said to have ended", job.job_id)
        services.store.due.drop(job.job_id)
    else:
        services.store.due.postpone(job.job_id, reconcile.pause(asked, _LONGEST_UNKNOWN_S))
