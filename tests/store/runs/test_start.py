"""Beginning a try: one lease at a time, and a request whose answer was lost may be repeated."""

from __future__ import annotations

import time

import pytest

from app.core.clock import now_ms, rfc3339
from app.store import Store
from app.store.runs.run import End, Start
from tests.store.said import said, tell


def planned(store: Store) -> str:
    """The id of a run that is due."""
    tell(store, said("j1", "Success"))
    (posted,) = store.outbox.after("0", 1)
    store.runs.plan([(posted.event, [("mine.publish", None)])])
    return f"{posted.event.event_id}|mine.publish"


def done(run: str, number: int) -> End:
    at = rfc3339(now_ms())
    entry = {"n": number, "started_at": at, "ended_at": at, "ms": 0, "worker": "vm-1", "error": None}
    return End(run, number, "done", entry)


def test_a_repeated_request_gets_the_same_answer(store: Store) -> None:
    """Its answer was lost: without the repeat the run would count as one whose worker died."""
    run = planned(store)
    request = Start(run, 600, 1, "vm-1")
    assert [store.runs.start(request) for _ in range(3)] == [1, 1, 1]
    assert store.runs.finish(done(run, 1))
    assert store.runs.start(request) == 0, "it has ended"


def test_a_repeated_request_also_ends_the_run_before(store: Store) -> None:
    """As a worker sends it: the end of one run, and the start of the next."""
    first = planned(store)
    tell(store, said("j2", "Success"))
    posted = store.outbox.after("0", 2)[1]
    store.runs.plan([(posted.event, [("mine.publish", None)])])
    assert store.runs.start(Start(first, 600, 1, "vm-1")) == 1
    end, request = done(first, 1), Start(f"{posted.event.event_id}|mine.publish", 600, 1, "vm-1")
    assert [store.runs.finish_and_start(end, request) for _ in range(2)] == [1, 1]
    kept = store.runs.get(first)
    assert kept is not None
    assert (kept.state, len(kept.tries)) == ("done", 1)


def test_another_request_gets_no_lease(store: Store) -> None:
    """Also from a process of the same name: a container that is started again has the same host and process ids."""
    run = planned(store)
    assert store.runs.start(Start(run, 600, 5, "vm-1")) == 1
    assert store.runs.start(Start(run, 600, 5, "vm-1")) == 0


def test_a_lease_that_has_ended_counts_as_a_try(store: Store) -> None:
    """A request is no longer repeated once another has the lease."""
    run = planned(store)
    first, second = (Start(run, 0, 5, "vm-1") for _ in range(2))
    assert (store.runs.start(first), store.runs.start(second)) == (1, 2)
    assert store.runs.start(first) == 3
    assert store.runs.start(first) == 3


def test_the_clock_of_a_relay_makes_no_difference(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is due at once by the clock of Redis, although the relay's is an hour ahead."""
    right, hour = time.time_ns, 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: right() + hour)
    run = planned(store)
    assert store.schedules.next_due_s() == 0
    assert store.schedules.backlog().due == 1
    assert store.schedules.backlog().oldest_s < 3000
    assert store.schedules.take_due(1, 20) == [run]
