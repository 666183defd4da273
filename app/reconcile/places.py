"""The bucket and region in which CI is asked about a job: never one that only an unverified callback has named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.ci.matching import askable
from app.provider import Place
from app.services import Services
from app.settings import Settings
from app.store import Job
from app.store.questions.due import Question
from app.store.submissions.submissions import Submission


def reason_not_askable(services: Services, job: Job) -> str | None:
    """Why CI cannot be asked about the job, and what to do instead; ``None`` if it can be."""
    return unasked(services, [job]).get(job.job_id)


def unasked(services: Services, jobs: Sequence[Job]) -> dict[str, str]:
    """The jobs that CI cannot be asked about, and why. It can be asked about every job that it has named itself,
    whatever callbacks say of its kind since."""
    places = places_of(services, jobs)
    found: dict[str, str] = {}
    for job in jobs:
        kind = askable.reason_not_a_ci_job(job.report) if job.submission is None else None
        if why := kind or (None if places[job.job_id] else _strange(job)):
            found[job.job_id] = why
    return found


def by_place(services: Services, jobs: Sequence[Job]) -> dict[Place, list[Job]]:
    """The jobs by bucket and region: one question names jobs of one bucket. Jobs without a known place are left out."""
    places: dict[Place, list[Job]] = defaultdict(list)
    known = places_of(services, jobs)
    for job in jobs:
        if place := known[job.job_id]:
            places[place].append(job)
    return places


def places_of(services: Services, jobs: Sequence[Job]) -> dict[str, Place | None]:
    """The place of each job; ``None`` if no trusted source has named it."""
    questions = services.store.due.questions([job.job_id for job in jobs])
    ours = our_buckets(services.settings)
    return {
        job.job_id: _place(services, job, question, ours)
        for job, question in zip(jobs, questions, strict=True)
    }


def our_buckets(settings: Settings) -> dict[str, str]:
    """The buckets that the settings name, and the region of each."""
    more = {each.name: each.region or settings.cos_region for each in settings.cos_buckets}
    return more | {settings.cos_bucket: settings.cos_region}


def unknown_bucket(services: Services, job: Job) -> str | None:
    """The bucket that a callback named for the job's input, if it is unknown to us."""
    bucket = _input_bucket(job)
    return bucket if bucket and places_of(services, [job])[job.job_id] is None else None


def _input_bucket(job: Job) -> str | None:
    return job.input.bucket if job.input else None


def _place(services: Services, job: Job, question: Question, ours: Mapping[str, str]) -> Place | None:
    submission: Submission | None = (
        services.store.submissions.get(job.submission.id) if job.submission else None
    )
    if submission:
        return Place(submission.bucket, submission.region)
    default = services.settings.cos_region
    if question.place:
        bucket, region = question.place
        return Place(bucket, region or ours.get(bucket, default))
    named = _input_bucket(job) or services.settings.cos_bucket
    if question.from_ci and job.input:
        return Place(named, job.input.region or ours.get(named, default))
    # A bucket has one region, which the settings know: a callback's is not needed.
    return Place(named, ours[named]) if named in ours else None


def _strange(job: Job) -> str:
    return (
        f"Only a callback has named the bucket {(_input_bucket(job) or '')[:100]}, and CI is asked only about buckets "
        "that are known. If it is yours, add it to COS_BUCKETS and try again."
    )
