"""CI's answer to a submission whose jobs are new: what is stored of them is known without reading it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from app.ci.incoming.payload import parse_answer
from app.ci.report import Detail
from app.core.clock import now_ms, rfc3339
from app.store import News, Store
from app.store.accept.news import as_body
from app.store.accept.outcomes import Taken
from app.store.submissions.submissions import Submission
from tests.store.said import said, tell
from tests.store.samples import submission

JOB: dict[str, Any] = {
    "JobId": "j1",
    "Tag": "VoiceSeparate",
    "State": "Submitted",
    "CreationTime": "2026-01-02T18:00:01+0800",
    "Code": "Success",
    "Input": {"BucketId": "demo-1250000000", "Region": "ap-chongqing", "Object": "in/ä & b.mp3"},
    "Operation": {
        "UserData": "order-1",
        "Output": {"Bucket": "demo-1250000000", "Region": "ap-chongqing", "AuObject": "out/${jobid}.mp3"},
    },
    "Strange": {"Long": 123456789012345678901234567890, "Half": 0.5, "None": None, "List": [1, [2]]},
}
ENDED = JOB | {"State": "Success", "EndTime": "2026-01-02T18:10:00+0800"}


def answered(*jobs: dict[str, Any]) -> tuple[Detail, ...]:
    return parse_answer(json.dumps({"JobsDetail": jobs}).encode()).details


def bound(store: Store, asked: Submission, details: tuple[Detail, ...]) -> Taken:
    """CI's answer, as the submitter hands it in."""
    news = News(details, "submit", "confirmed", body=as_body(details), submission=asked.id, ask_after=3600.0)
    return store.acceptor.take(news)


@pytest.mark.parametrize("overdue", [False, True])
@pytest.mark.parametrize("jobs", [(JOB,), (ENDED,), (JOB, ENDED | {"JobId": "j2"})])
def test_new_jobs_are_known_without_reading_them(
    jobs: tuple[dict[str, Any], ...], overdue: bool, store: Store
) -> None:
    """Field by field what ``get`` reads, the raw view and what contradicts the request included."""
    asked = replace(submission("s1"), deadline=rfc3339(now_ms() + (-60_000 if overdue else 60_000)))
    store.submissions.create(asked)
    details = answered(*jobs)
    taken = bound(store, asked, details)
    assert taken.outcomes == ["accepted"] * len(jobs)
    assert taken.new_at
    found = store.jobs.submitted(details, asked, taken.new_at)
    assert found == [store.jobs.get(job["JobId"]) for job in jobs]
    assert found[0].submission is not None
    assert found[0].submission.overdue is (overdue and not found[0].terminal)


@pytest.mark.parametrize("source", ["callback", "poll", "submit"])
def test_jobs_that_are_known_have_to_be_read(source: Any, store: Store) -> None:
    """Something else may be stored of them: a callback overtook the answer, CI was asked, or the answer came before."""
    asked = submission("s1")
    store.submissions.create(asked)
    tell(store, said("j1", "Running"), source=source, submission="s1")
    assert bound(store, asked, answered(JOB)).new_at is None
    assert bound(store, asked, answered(JOB | {"JobId": "j2"}, JOB)).new_at is None, "one of two is known"


def test_an_answer_that_names_a_job_twice_has_to_be_read(store: Store) -> None:
    asked = submission("s1")
    store.submissions.create(asked)
    assert bound(store, asked, answered(JOB, ENDED)).new_at is None


@pytest.mark.parametrize("source", ["callback", "poll"])
def test_only_a_submission_has_new_jobs(source: Any, store: Store) -> None:
    """What another source reports of a new job is answered with its outcome alone."""
    news = News((said("j1", "Running"),), source, "token")
    assert store.acceptor.take(news) == Taken(["accepted"])
