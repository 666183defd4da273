"""A loop of the relay: CI is asked about jobs past their deadline, in doubt, or submitted without a callback URL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from app.core.clock import now_ms
from app.provider import Place, ProviderError, RequestRejected, Throttled
from app.reconcile.describe import LOOP_PATIENCE_S, UNREADABLE, ask_place, pause
from app.reconcile.places import by_place, unasked, unknown_bucket
from app.services import Services
from app.store import Job
from app.store.questions.due import Question
from app.store.refusals.refusal import Refusal

log = logging.getLogger(__name__)

_COUNT = 50
"""Jobs in one question to CI, at most."""
_PUT_OFF_S = 120.0
_IDLE_S = 1.0
_GIVE_UP_AFTER = 8
"""Questions about a job that CI does not know, if it has ended or is in doubt; then CI is not asked again."""
_LONGEST_UNKNOWN_S = 6 * 3600.0


def step(services: Services, stopping: threading.Event) -> None:
    """Ask CI about the jobs that are due; wait a moment if none are."""
    held = services.store.due.held_s()
    if held:
        stopping.wait(min(held, 1.0))
        return
    ids = services.store.due.take(_COUNT, _PUT_OFF_S)
    if not ids:
        stopping.wait(_IDLE_S)
        return
    jobs = _worth_asking(services, _askable(services, ids))
    for place, group in by_place(services, jobs).items():
        _ask(services, place, group)


def _askable(services: Services, ids: Sequence[str]) -> list[Job]:
    """Without deleted jobs, and those that CI cannot be asked about: their doubts stay until a person settles them."""
    jobs = [job for job in map(services.store.jobs.get, ids) if job is not None]
    for job in jobs:
        services.store.due.announce_overdue(job)
    never = unasked(services, jobs)
    for gone in set(ids) - {job.job_id for job in jobs}:
        services.store.due.end(gone)
    for job in jobs:
        if job.job_id in never:
            services.store.due.end(job.job_id, "not_askable")
            if bucket := unknown_bucket(services, job):
                services.store.due.note_strange(bucket)
    return [job for job in jobs if job.job_id not in never]


def _worth_asking(services: Services, jobs: Sequence[Job]) -> list[Job]:
    """Without those about which CI was asked for long enough."""
    questions = services.store.due.questions([job.job_id for job in jobs])
    over = {
        job.job_id: why
        for job, each in zip(jobs, questions, strict=True)
        if (why := _why_over(services, each)) is not None
    }
    for job_id, why in over.items():
        log.warning("job %s: stopped asking CI: %s", job_id, why)
        services.store.due.end(job_id)
    return [job for job in jobs if job.job_id not in over]


def _why_over(services: Services, question: Question) -> str | None:
    if not question.asked:
        return None
    settings = services.settings
    if question.doubt_since and _is_past(question.doubt_since, settings.search_for):
        return "the doubt is not settled after SEARCH_FOR; settle it with flask jobs settle"
    if question.since and _is_past(question.since, settings.retention_jobs):
        return "the job has not ended after RETENTION_JOBS"
    return None


def _is_past(since_ms: int, seconds: float) -> bool:
    return now_ms() - since_ms > seconds * 1000


def _ask(services: Services, place: Place, jobs: Sequence[Job]) -> None:
    try:
        asked = ask_place(services, place, jobs, LOOP_PATIENCE_S)
    except Throttled as error:
        _slow_down(services, jobs, error)
    except ProviderError as error:
        if len(jobs) > 1 and (isinstance(error, RequestRejected) or error.code == UNREADABLE):
            # One job may cause this: asking about halves finds it in few questions.
            middle = len(jobs) // 2
            for half in (jobs[:middle], jobs[middle:]):
                _ask(services, place, half)
        elif error.code == UNREADABLE:
            _unreadable(services, jobs[0], str(error))
        else:
            _unanswered(services, jobs, error)
    else:
        for job in jobs:
            if job.job_id in asked.unreadable:
                _unreadable(services, job, "see the line before")
            elif job.job_id not in asked.outcomes:
                _unknown(services, job)


def _slow_down(services: Services, jobs: Sequence[Job], error: Throttled) -> None:
    seconds = services.store.due.slow_down(error.retry_after)
    log.warning("CI is throttling; pausing all questions to CI for %.0f s", seconds)
    for job in jobs:
        services.store.due.put_off(job.job_id, seconds + pause(0))


def _unanswered(services: Services, jobs: Sequence[Job], error: ProviderError) -> None:
    log.warning("could not ask CI about %d jobs; asking again later: %s", len(jobs), error)
    for job in jobs:
        services.store.due.postpone(job.job_id, pause(services.store.due.asked(job.job_id)))


def _unreadable(services: Services, job: Job, why: str) -> None:
    """CI's answer about the job cannot be read: note that once in its history, and ask again later."""
    log.error("CI's answer about job %s cannot be read (%s); check the job in CI's console", job.job_id, why)
    entries, _ = services.store.jobs.history(job.job_id)
    if not entries or entries[-1].get("reason") != "answer_unreadable":
        services.store.refusals.note(Refusal("answer_unreadable", why, "", job_ids=(job.job_id,)))
    # The note makes the job due at once, but the same answer would come again.
    services.store.due.postpone(job.job_id, pause(services.store.due.asked(job.job_id)))


def _unknown(services: Services, job: Job) -> None:
    """CI does not know the job: not yet, or no longer."""
    (question,) = services.store.due.questions([job.job_id])
    if (job.terminal or question.doubt_since) and question.asked >= _GIVE_UP_AFTER:
        log.warning("CI does not know job %s, which has ended or is in doubt; stopped asking CI", job.job_id)
        services.store.due.end(job.job_id, "unknown_to_ci")
    else:
        services.store.due.postpone(job.job_id, pause(question.asked, _LONGEST_UNKNOWN_S))
