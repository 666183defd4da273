"""A job, its submission and its signing key are kept as long as its callback URL is valid."""

from __future__ import annotations

import threading
import time

import pytest
from msgspec.structs import replace

from app.ci.report import TERMINAL
from app.core.clock import now_ms, rfc3339
from app.services import Services
from app.store import Store
from tests.store.jobs.populated import ANY_AGE, FIXED, kept_keys, new_submission
from tests.store.said import said, tell
from workers.relay.retention import step as sweep_step


@pytest.mark.parametrize("state", ["Submitted", "Running", "Pause", None])
def test_a_job_that_has_not_ended_outlives_its_callback_url(store: Store, state: str | None) -> None:
    """Whatever its age, its end may still be reported to that URL. Once the URL has expired, job and submission are
    removed."""
    submission = new_submission(store, now_ms() + 60_000)
    tell(store, said("j1", state), source="submit", submission=submission)
    for _ in range(3):
        store.retention.drop_jobs(ANY_AGE, 100)
        store.retention.drop_submissions(ANY_AGE, 100)
    assert store.jobs.get("j1") is not None
    store.db.client.hset(store.db.key("submission", submission), "token_expires", now_ms() - 1)
    store.retention.drop_jobs(ANY_AGE, 100)
    assert store.jobs.get("j1") is None
    assert kept_keys(store) - FIXED == set()


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_job_that_has_ended_does_not_wait_for_its_callback_url(store: Store, state: str) -> None:
    """Nor does one that a person deletes."""
    for job_id, ends in (("j1", state), ("j2", "Running")):
        submission = new_submission(store, now_ms() + 60_000)
        tell(store, said(job_id, ends), source="submit", submission=submission)
    store.retention.drop_jobs(ANY_AGE, 100)
    assert store.jobs.get("j1") is None
    assert store.retention.drop_job("j2") is not None


def test_urls_of_earlier_releases_are_given_the_same_life(store: Store) -> None:
    """Their submissions do not say when the URL expires: it is CALLBACK_LIFE after they were submitted."""
    for job_id, age_s in (("jold", 4000), ("jyoung", 20)):
        submission = new_submission(store, submitted_at=rfc3339(now_ms() - age_s * 1000))
        tell(store, said(job_id, "Running"), source="submit", submission=submission)
    store.retention.drop_jobs(ANY_AGE, 100, 3000)
    assert store.jobs.get("jold") is None
    assert store.jobs.get("jyoung") is not None


def test_the_sweep_keeps_what_may_still_be_reported(services: Services) -> None:
    """The relay's sweep keeps a job whose URL is valid, also if RETENTION_JOBS and CALLBACK_LIFE were shortened
    since."""
    short = services.settings.model_copy(update={"retention_jobs": 0.001, "callback_life": 0.001})
    store = services.store
    submission = new_submission(store, now_ms() + 60_000)
    tell(store, said("j1", "Running"), source="submit", submission=submission)
    tell(store, said("j2", "Running"))
    time.sleep(0.02)
    stopping = threading.Event()
    stopping.set()
    sweep_step(replace(services, settings=short), stopping)
    assert store.jobs.get("j1") is not None
    assert store.jobs.get("j2") is None


def test_a_submission_without_jobs_outlives_its_callback_url(store: Store) -> None:
    """Without the submission's record a callback to that URL would be judged by other rules."""
    submission = new_submission(store, now_ms() + 60_000)
    store.retention.drop_submissions(ANY_AGE, 100)
    assert store.submissions.get(submission) is not None


def test_an_expired_url_needs_its_key_no_longer(store: Store) -> None:
    """Its callbacks are refused in any case, so the key may go although the job has not ended."""
    new_submission(store, now_ms() - 1)
    assert store.submissions.open_keys() == {}
    new_submission(store, now_ms() + 60_000)
    assert store.submissions.open_keys() == {"k1": 1}


def test_a_submission_is_open_until_its_jobs_have_ended(store: Store) -> None:
    """Until then the key that signed its token is needed."""
    submission = new_submission(store)
    assert store.submissions.open_keys() == {"k1": 1}
    tell(store, said("j1", "Submitted"), said("j2", "Submitted"), source="submit", submission=submission)
    tell(store, said("j1", "Success"), submission=submission)
    assert store.submissions.open_keys() == {"k1": 1}
    tell(store, said("j2", "Failed"), source="poll")
    assert store.submissions.open_keys() == {}
    store.submissions.settle(new_submission(store), "failed", "CI said no")
    assert store.submissions.open_keys() == {}


def test_an_end_that_came_before_the_answer_closes_too(store: Store) -> None:
    """The callback was first, and CI's answer names its job later."""
    submission = new_submission(store)
    tell(store, said("j1", "Success"), submission=submission)
    assert store.submissions.open_keys() == {"k1": 1}
    tell(store, said("j1", "Submitted"), source="submit", submission=submission)
    assert store.submissions.open_keys() == {}
