"""Which submission owns a job: the one in whose answer CI named it, or the one whose URL reported it first."""

from __future__ import annotations

import pytest

from app.store import NotBelieved, Store
from app.store.reading.listing import Filter
from tests.store.news import EARLY, LATE, create_submission, job_ids_of, owner_of, submit
from tests.store.said import said, tell


def test_the_answer_binds_its_jobs(store: Store) -> None:
    """After CI's answer a token is valid for the jobs that the answer names, and for no other."""
    submit(store, "s1", said("j1", "Submitted"), said("j2", "Submitted"))
    assert job_ids_of(store, "s1") == ("j1", "j2")
    assert tell(store, said("j2", "Success", EARLY), submission="s1") == ["accepted"]
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j9", "Success", EARLY), submission="s1")
    assert tell(store, said("j9", "Success", EARLY), submission="s1", bind=False) == ["accepted"]


def test_a_callback_may_come_before_the_answer(store: Store) -> None:
    """It is accepted because of its token; the submission owns the job once CI has named it."""
    create_submission(store, "s1")
    tell(store, said("j1", "Success", EARLY), submission="s1")
    assert (owner_of(store, "j1"), job_ids_of(store, "s1")) == ("s1", ())
    assert tell(store, said("j1", "Submitted"), source="submit", submission="s1") == ["stale"]
    assert (owner_of(store, "j1"), job_ids_of(store, "s1")) == ("s1", ("j1",))
    assert store.due.size() == 0


def test_the_answer_wins_over_a_claim(store: Store) -> None:
    """A callback claims a job that CI's answer does not name: the claim and all that it reported are removed, and CI
    is asked. Later reports of CI and of other tokens are accepted."""
    create_submission(store, "s1")
    for job_id in ("jforged", "jother"):
        tell(store, said(job_id, "Running"), submission="s1")
        tell(store, said(job_id, "Success", EARLY), submission="s1")
    tell(store, said("j1", "Submitted"), source="submit", submission="s1")
    forged = store.jobs.get("jforged")
    assert forged is not None
    assert (forged.submission, forged.verification) == (None, "unconfirmed")
    assert (forged.state, forged.terminal, forged.ended_at, forged.raw) == (None, False, None, None)
    assert [job.job_id for job in store.jobs.page(Filter(equal=(("state", "Success"),)), 10).jobs] == []
    assert sorted(store.due.take(10, 60)) == ["jforged", "jother"]
    assert tell(store, said("jforged", "Running"), source="poll") == ["accepted"]
    assert tell(store, said("jother", "Success", EARLY)) == ["accepted"]
    assert [job.job_id for job in store.jobs.page(Filter(equal=(("state", "Success"),)), 10).jobs] == [
        "jother"
    ]


def test_a_wrong_claim_leaves_earlier_data(store: Store) -> None:
    """Only what came with the wrong claim is removed."""
    create_submission(store, "s1")
    tell(store, said("j2", "Running"))
    tell(store, said("j2", "Success", EARLY), submission="s1")
    tell(store, said("j3", "Running"), submission="s1")
    tell(store, said("j3", "Success", EARLY), source="poll")
    tell(store, said("j1", "Submitted"), source="submit", submission="s1")
    assert {job_id: job.state for job_id in ("j2", "j3") if (job := store.jobs.get(job_id))} == {
        "j2": "Success",
        "j3": "Success",
    }


def test_a_token_cannot_claim_the_job_of_another_submission(store: Store) -> None:
    """Not even before CI has named the jobs of the token's own submission."""
    submit(store, "s1", said("j1", "Submitted"))
    create_submission(store, "s2")
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j1", "Failed", LATE), submission="s2")
    tell(store, said("j1", "Success", EARLY), submission="s2", bind=False)
    assert owner_of(store, "j1") == "s1"


def test_a_leaked_token_cannot_claim_without_end(store: Store) -> None:
    """One submission has a handful of jobs: past a cap, further names are refused, known ones are not."""
    create_submission(store, "s1")
    for n in range(32):
        tell(store, said(f"j{n}", "Running"), submission="s1")
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j99", "Running"), submission="s1")
    assert tell(store, said("j3", "Success", EARLY), submission="s1") == ["accepted"]


def test_a_revoked_token_is_refused(store: Store) -> None:
    """No report with it is stored."""
    store.refusals.revoke("mark")
    with pytest.raises(NotBelieved, match="revoked_token"):
        tell(store, said("j1", "Success", EARLY), token="mark")
    assert store.jobs.get("j1") is None
