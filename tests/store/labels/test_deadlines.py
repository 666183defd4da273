"""A submission may have a deadline of its own: CI is asked once it has passed, not before."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from app.core.clock import now_ms, to_ms
from app.store import Store
from app.store.submissions.submissions import Submission, deadline_after
from tests.store.said import said, tell
from tests.store.samples import submission

OWN_S, USUAL_S = 90.0, 3600.0


def made(store: Store, patience: float | None) -> Submission:
    kept = replace(submission("s1"), patience=patience, deadline=deadline_after(patience or USUAL_S))
    store.submissions.create(kept)
    assert store.submissions.get("s1") == replace(kept, facts={})
    return kept


def asked_in_s(store: Store, job_id: str) -> float:
    at = store.db.client.zscore(store.db.key("due"), job_id)
    assert isinstance(at, float)
    return (at - now_ms()) / 1000


def overdue_in_s(store: Store, job_id: str) -> float:
    job = store.jobs.get(job_id)
    assert job is not None and job.submission is not None
    return ((to_ms(job.submission.deadline) or 0) - now_ms()) / 1000


@pytest.mark.parametrize("order", list(permutations(("answer", "callback"))), ids=", ".join)
def test_ci_is_asked_after_the_deadline_of_the_submission(store: Store, order: tuple[str, ...]) -> None:
    """Whichever comes first, the answer or a callback, which does not hold the deadline."""
    made(store, OWN_S)
    for way in order:
        if way == "answer":
            tell(store, said("j1", "Submitted"), source="submit", submission="s1", ask_after=OWN_S)
        else:
            tell(store, said("j1", "Running"), submission="s1", ask_after=USUAL_S)
    assert OWN_S - 60 < asked_in_s(store, "j1") <= OWN_S
    assert OWN_S - 60 < overdue_in_s(store, "j1") <= OWN_S


@pytest.mark.parametrize(("patience", "next_s"), [(OWN_S, OWN_S), (None, USUAL_S)])
def test_a_job_that_still_runs_gets_as_long_again(
    store: Store, patience: float | None, next_s: float
) -> None:
    """Its own deadline where it has one, else the setting's."""
    made(store, patience)
    tell(store, said("j1", "Running"), source="submit", submission="s1")
    store.due.count("j1", USUAL_S)
    assert next_s - 60 < overdue_in_s(store, "j1") <= next_s
    store.due.postpone("j1", 30)
    assert next_s - 60 < overdue_in_s(store, "j1") <= next_s, "no answer says nothing of the job"
    assert store.due.asked("j1") == 2


def test_a_question_about_a_job_that_is_gone_leaves_nothing(store: Store) -> None:
    store.due.count("jgone", USUAL_S)
    assert store.db.client.keys(store.db.key("job", "*")) == []
