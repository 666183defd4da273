"""Asking CI about many jobs on behalf of a caller, or cancelling them, with a result for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from app.provider import Place, ProviderError, RequestRejected
from app.reconcile.describe import LOOP_PATIENCE_S, ask_place, wait_for_turn
from app.reconcile.places import by_place, unasked
from app.services import Services
from app.store import Job
from app.store.questions.due import FIRST_QUESTION_S

IN_ONE_QUESTION = 50
"""Jobs that one question to CI may name."""
_UNKNOWN = "CI does not know this job."
Fates = Iterator[tuple[str, str | None]]
"""Each job id, and why its job failed; ``None`` if it succeeded."""


def refresh_many(services: Services, jobs: Iterable[Job], by: str) -> Fates:
    """Ask CI about these jobs now, fifty at a time, for the person ``by``. Raises ``ProviderError`` if CI cannot be
    asked at all."""
    for group in _grouped(jobs):
        never = unasked(services, group)
        yield from never.items()
        askable = [job for job in group if job.job_id not in never]
        for place, part in by_place(services, askable).items():
            yield from _ask(services, place, part, by)


def cancel_many(services: Services, jobs: Iterable[Job], by: str) -> Fates:
    """Cancel these jobs at CI for the person ``by``, and ask CI for their states. If CI cannot be reached, the rest is
    not tried, and each answer says so. Never raises ``ProviderError``: some may have been cancelled."""
    for group in _grouped(jobs):
        fates = dict(_cancel(services, group))
        for job_id, why in fates.items():
            if why is None:
                # CI's 200 does not mean that the job has stopped.
                services.store.due.ask(job_id, FIRST_QUESTION_S)
        with suppress(ProviderError):  # they are asked about later, too
            for job_id, why in refresh_many(services, group, by):
                # CI has one error for a job that it does not know, and for one that it will not cancel.
                if why == _UNKNOWN and fates[job_id] is not None:
                    fates[job_id] = why
        yield from fates.items()


def _grouped(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while group := list(islice(rest, IN_ONE_QUESTION)):
        yield group


def _ask(services: Services, place: Place, jobs: Sequence[Job], by: str) -> Fates:
    try:
        asked = ask_place(services, place, jobs, LOOP_PATIENCE_S)
    except RequestRejected as error:
        if len(jobs) == 1:
            yield jobs[0].job_id, str(error)
            return
        # One job may cause this: asking about halves finds it in few questions.
        middle = len(jobs) // 2
        for half in (jobs[:middle], jobs[middle:]):
            yield from _ask(services, place, half, by)
        return
    for job in jobs:
        why = _why_not(job.job_id in asked.outcomes, job.job_id in asked.unreadable)
        if why == _UNKNOWN:
            services.store.due.note_unknown(job.job_id, by)
        yield job.job_id, why


def _why_not(is_answered: bool, is_unreadable: bool) -> str | None:
    if is_answered:
        return None
    return "CI's answer about this job cannot be read." if is_unreadable else _UNKNOWN


def _cancel(services: Services, jobs: Sequence[Job]) -> Fates:
    never = unasked(services, jobs)
    yield from never.items()
    fault: ProviderError | None = None
    for place, part in by_place(services, [job for job in jobs if job.job_id not in never]).items():
        for job in part:
            if fault is None:
                why, fault = _cancel_one(services, place, job)
                yield job.job_id, why
            else:
                yield job.job_id, f"Not tried, because CI could not be asked before: {fault}"


def _cancel_one(services: Services, place: Place, job: Job) -> tuple[str | None, ProviderError | None]:
    try:
        wait_for_turn(services)
        services.provider.cancel(*place, job.job_id)
    except RequestRejected as error:
        return str(error), None
    except ProviderError as error:
        return str(error), error
    return None, None
