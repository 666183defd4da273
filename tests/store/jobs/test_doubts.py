"""A person settles a doubt that CI cannot decide."""

from __future__ import annotations

import json

import pytest

from app.store import Store
from app.store.reading.job import Job
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell

EARLY, FUTURE = "2022-06-27T07:30:00Z", "9999-12-31T00:00:00Z"


def _job(store: Store) -> Job:
    job = store.jobs.get("j1")
    assert job is not None
    return job


def _handled(store: Store) -> list[tuple[str, str | None]]:
    return [(e.event.kind, e.event.state) for e in store.outbox.after("0", 100) if e.event.runs_handlers]


def test_settling_as_known_keeps_the_state(store: Store) -> None:
    """The doubt is removed, no handler runs again, and the same contradiction is now a duplicate."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", EARLY))
    assert store.doubts.settle("j1", "known", "ops")
    job = _job(store)
    assert (job.state, job.doubt, job.verification, job.source) == ("Success", None, "settled", "settle")
    assert job.raw == {"JobId": "j1", "State": "Success"}
    assert tell(store, said("j1", "Failed", EARLY)) == ["duplicate"]
    assert _handled(store) == [("callback", "Success")]
    assert store.due.size() == 0
    assert not broken_invariants(store)


def test_the_reported_state_is_accepted(store: Store) -> None:
    """The job gets the reported state and its body, handlers run, and the earlier state is now a duplicate."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", EARLY))
    assert store.doubts.settle("j1", "reported", "ops")
    job = _job(store)
    assert (job.state, job.terminal, job.doubt) == ("Failed", True, None)
    assert job.raw == {"JobId": "j1", "State": "Failed"}
    assert tell(store, said("j1", "Success", EARLY)) == ["duplicate"]
    assert _handled(store) == [("callback", "Success"), ("settle", "Failed")]
    assert not broken_invariants(store)


def test_handlers_that_waited_for_the_decision_run(store: Store) -> None:
    """A report that came while the job was doubted runs its handlers when an operator confirms it."""
    tell(store, said("j1", "Failed", FUTURE))
    tell(store, said("j1", "Success", EARLY))
    assert _handled(store) == []
    assert store.doubts.settle("j1", "known", "ops")
    assert _handled(store) == [("settle", "Success")]


@pytest.mark.parametrize(("choice", "state"), [("known", None), ("reported", "Failed")])
def test_a_job_of_which_nothing_was_known(store: Store, choice: str, state: str | None) -> None:
    """It stays unknown, or becomes what was reported."""
    tell(store, said("j1", "Failed", FUTURE))
    assert store.doubts.settle("j1", choice, "ops")  # type: ignore[arg-type]
    assert (_job(store).state, _job(store).doubt) == (state, None)
    assert not broken_invariants(store)


def test_the_history_names_who_decided(store: Store) -> None:
    """An entry of kind settle, with the choice and the name of the key."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", EARLY))
    store.doubts.settle("j1", "known", "ops")
    entry = store.jobs.history("j1")[0][-1]
    assert (entry["kind"], entry["as"], entry["by"]) == ("settle", "known", "ops")
    json.dumps(entry)


def test_a_job_without_a_doubt_cannot_be_settled(store: Store) -> None:
    """Neither for a job without a contradiction nor for an unknown one."""
    tell(store, said("j1", "Success", EARLY))
    assert not store.doubts.settle("j1", "known", "ops")
    assert not store.doubts.settle("j2", "reported", "ops")


def test_after_a_decision_ci_still_decides(store: Store) -> None:
    """CI's own answer beats the person's."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", EARLY))
    store.doubts.settle("j1", "known", "ops")
    assert tell(store, said("j1", "Failed", EARLY), source="poll") == ["accepted"]
    assert _job(store).state == "Failed"
