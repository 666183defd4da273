"""Submissions and end times for the tests of reports."""

from __future__ import annotations

from app.ci.report import Detail
from app.store import Store
from app.store.submissions.submissions import Submission, deadline_after
from tests.store.said import tell

EARLY, LATE, FUTURE = "2022-06-27T07:30:00Z", "2022-06-27T07:40:00Z", "9999-12-31T00:00:00Z"


def create_submission(store: Store, submission: str) -> None:
    store.submissions.create(
        Submission(submission, "sending", "2022-06-27T07:23:10Z", deadline_after(60), "own", "demo", "here")
    )


def submit(store: Store, submission: str, *details: Detail) -> None:
    create_submission(store, submission)
    tell(store, *details, source="submit", submission=submission)


def job_ids_of(store: Store, submission: str) -> tuple[str, ...]:
    kept = store.submissions.get(submission)
    assert kept is not None
    return kept.job_ids


def owner_of(store: Store, job_id: str) -> str | None:
    job = store.jobs.get(job_id)
    assert job is not None
    return job.submission.id if job.submission else None
