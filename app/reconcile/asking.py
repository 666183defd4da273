"""Describing jobs at CI, and taking its answer in."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from app.ci import askable
from app.ci.payload import Detail
from app.provider import AnswerLost
from app.services import Services
from app.store import Job, News, Outcome
from app.store.accept import as_body
from app.store.clock import now_ms, rfc3339
from app.store.submissions import Submission

FIRST_ASK_S = 5.0
LONGEST_S = 900.0
"""The longest pause between two questions about a job whose callback is late."""
LONGEST_POLLED_S = 60.0
"""The same for a job that no callback of ours will ever tell us about."""

Place = tuple[str, str]
"""A bucket and a region: whom to ask."""


class Asked(NamedTuple):
    """What became of the jobs that CI was asked about; those that it does not know are in neither."""

    outcomes: dict[str, Outcome]
    unreadable: frozenset[str]
    """Jobs of which CI said something that cannot be read."""


def why_not(job: Job) -> str | None:
    """Why CI cannot be asked about it, and what to do instead; ``None`` where it can.

    What CI has named as a job of ours is one, whatever callbacks call it since.
    """
    return askable.why_not(job) if job.submission is None else None


def ask(services: Services, jobs: Sequence[Job]) -> dict[str, Outcome]:
    """Describe these jobs at CI and take its answer in. Jobs that CI does not know are not in the result.

    Raises ``ProviderError``; then what was taken in so far stays.
    """
    outcomes: dict[str, Outcome] = {}
    for place, group in by_place(services, jobs).items():
        asked = ask_place(services, place, group)
        outcomes |= asked.outcomes
        if asked.unreadable:
            raise AnswerLost("AnswerUnreadable", ", ".join(sorted(asked.unreadable)), question=True)
    return outcomes


def ask_place(services: Services, place: Place, jobs: Sequence[Job]) -> Asked:
    """The same for jobs of one bucket. Raises ``ProviderError``; then nothing was taken in."""
    asked = now_ms()
    answer = services.provider.describe(*place, [job.job_id for job in jobs])
    told = {detail.report.job_id: detail for detail in answer.details}
    outcomes = {
        job.job_id: take_in(services, told[job.job_id], asked, longest_pause(job))
        for job in jobs
        if job.job_id in told
    }
    if not answer.unreadable:
        return Asked(outcomes, frozenset())
    # Where the id is what cannot be read, it may be any that CI said nothing else of.
    silent = {job.job_id for job in jobs} - told.keys() - set(answer.non_existing)
    named = silent & {one.job_id for one in answer.unreadable}
    return Asked(outcomes, frozenset(named if len(named) == len(answer.unreadable) else silent))


def take_in(services: Services, detail: Detail, asked_ms: int, longest: float = LONGEST_S) -> Outcome:
    """Believe CI's own word about one job, given to a question that was put at ``asked_ms``."""
    due, job_id = services.store.due, detail.report.job_id
    news = News(
        details=[detail],
        source="poll",
        verification="confirmed",
        body=as_body([detail]),
        ask_after=pause(due.asked(job_id), longest),
        asked_ms=asked_ms,
    )
    outcome = services.store.acceptor.accept(news)[0]
    if detail.report.terminal:
        due.settled(job_id)
    else:
        # CI is still at it: its silence becomes overdue only after another deadline.
        due.count(job_id, rfc3339(now_ms() + int(services.settings.deadline * 1000)))
    return outcome


def restore(services: Services, submission: Submission) -> bool:
    """Bring back the jobs of a submission whose records were lost. False where CI does not know all of them.

    Raises ``ProviderError``.
    """
    asked = now_ms()
    answer = services.provider.describe(submission.bucket, submission.region, submission.job_ids)
    told = {detail.report.job_id: detail for detail in answer.details}
    if not all(job_id in told for job_id in submission.job_ids):
        return False
    bind(services, submission, [told[job_id] for job_id in submission.job_ids], asked)
    return True


def bind(services: Services, submission: Submission, details: Sequence[Detail], asked_ms: int) -> None:
    """Believe CI that these are the jobs of a submission."""
    news = News(
        details=details,
        source="poll",
        verification="confirmed",
        body=as_body(details),
        submission=submission.id,
        ask_after=FIRST_ASK_S if submission.callback != "own" else services.settings.deadline,
        binds=True,
        asked_ms=asked_ms,
    )
    services.store.acceptor.accept(news)


def cancel(services: Services, job: Job) -> None:
    """Cancel the job at CI, and ask what became of it. Raises ``ProviderError``."""
    for (bucket, region), group in by_place(services, [job]).items():
        services.provider.cancel(bucket, region, group[0].job_id)
    # That CI said yes does not mean that the job has stopped.
    services.store.due.ask(job.job_id, FIRST_ASK_S)
    ask(services, [job])


def longest_pause(job: Job) -> float:
    """Seconds that may pass between two questions about this job."""
    waits = job.submission is None or job.submission.callback == "own"
    return LONGEST_S if waits else LONGEST_POLLED_S


def pause(asked: int, longest: float = LONGEST_S) -> float:
    """Seconds until the next question, when ``asked`` in a row have not brought the end: doubling, with jitter."""
    return min(FIRST_ASK_S * 2.0 ** min(asked, 20), longest) * random.uniform(0.8, 1.2)  # noqa: S311


def by_place(services: Services, jobs: Sequence[Job]) -> dict[Place, list[Job]]:
    """CI is asked per bucket and region: those of the submission, else those that the job names itself."""
    places: dict[Place, list[Job]] = defaultdict(list)
    for job in jobs:
        places[_place(services, job)].append(job)
    return places


def _place(services: Services, job: Job) -> Place:
    submission = services.store.submissions.get(job.submission.id) if job.submission else None
    if submission:
        return submission.bucket, submission.region
    where = job.input
    settings = services.settings
    return (where and where.bucket) or settings.cos_bucket, (where and where.region) or settings.cos_region
