"""Asking CI about jobs and believing its answer: what makes silence, doubt and forgery harmless."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from app.ci.payload import Detail
from app.services import Services
from app.store import Job, News, Outcome
from app.store.accept import as_body
from app.store.clock import now_ms, rfc3339

FIRST_ASK_S = 5.0
_LONGEST_ASK_S = 900.0
Place = tuple[str, str]


def ask(services: Services, jobs: Sequence[Job]) -> dict[str, Outcome]:
    """Describe these jobs at CI and take its answer in. Jobs that CI does not know are not in the result.

    Raises ``ProviderError``; then what was taken in so far stays.
    """
    outcomes: dict[str, Outcome] = {}
    for (bucket, region), there in by_place(services, jobs).items():
        answer = services.provider.describe(bucket, region, [job.job_id for job in there])
        for detail in answer.details:
            outcomes[detail.report.job_id] = take_in(services, detail)
    return outcomes


def take_in(services: Services, detail: Detail) -> Outcome:
    """Believe CI's own word about one job."""
    job_id = detail.report.job_id
    news = News(
        details=[detail],
        source="poll",
        verification="confirmed",
        body=as_body([detail]),
        ask_after=pause(services.store.due.asked(job_id)),
    )
    outcome = services.store.acceptor.accept(news)[0]
    if detail.report.terminal:
        services.store.due.settled(job_id)
    else:
        # CI is still at it: its silence becomes overdue only after another deadline.
        later = rfc3339(now_ms() + int(services.settings.deadline * 1000))
        services.store.due.asked_again(job_id, later)
    return outcome


def cancel(services: Services, job: Job) -> None:
    """Cancel the job at CI, and ask what became of it. Raises ``ProviderError``."""
    for bucket, region in by_place(services, [job]):
        services.provider.cancel(bucket, region, job.job_id)
    ask(services, [job])


def pause(asked: int) -> float:
    """Seconds until the next question, when ``asked`` in a row have not brought the end: doubling, with jitter."""
    return min(FIRST_ASK_S * 2.0 ** min(asked, 20), _LONGEST_ASK_S) * random.uniform(0.8, 1.2)  # noqa: S311


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
