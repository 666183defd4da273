"""A batch of runs in one process of a worker, while Redis goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.redis.outage import OUTAGE
from app.store import Event, Job, Store
from harness.servers import Valkey
from tests.store.said import said, tell
from workers import registry
from workers.registry import handler
from workers.rq.batch import Batch
from workers.rq.shared_flags import SharedFlags
from workers.worker.lease_keeper import LeaseKeeper
from workers.worker.tasks import Performer

NAME = "tests.redis_goes_away"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """Whatever it has acknowledged outlives its end."""
    with Valkey(tmp_path, "--appendfsync", "always") as running:
        yield running


@pytest.fixture
def own(server: Valkey) -> Store:
    return Store.open(server.url, "batch:", timeout=5)


def due_runs(store: Store, count: int) -> list[str]:
    for n in range(count):
        tell(store, said(f"j{n}", "Success"))
    posted = store.outbox.after("0", count)
    store.runs.plan([(each.event, [(NAME, None)]) for each in posted])
    return [f"{each.event.event_id}|{NAME}" for each in posted]


def test_runs_are_not_released_while_redis_is_away(server: Valkey, own: Store) -> None:
    """Closing a batch raises nothing: they are due again after the time by which they were put off."""
    ids = due_runs(own, 2)
    taken = own.schedules.take_due(2, 20.0)
    assert sorted(taken) == sorted(ids)
    batch = Batch(own.schedules, SharedFlags(), ids)
    server.kill()
    batch.close()
    assert batch.next() is None


def test_the_end_of_a_run_outlives_the_end_of_its_batch(
    server: Valkey, own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis goes away during a run, and the worker is asked to stop: the run is recorded as done when Redis is back,
    and the next one has had no try."""
    flags = SharedFlags()
    back = threading.Timer(3.0, server.start)

    def function(event: Event, job: Job) -> None:
        server.kill()
        flags.stop = True
        back.start()

    monkeypatch.setattr(registry, "_handlers", {})
    monkeypatch.setattr(OUTAGE, "silent", True)
    handler(name=NAME, tries=1)(function)
    first, second = ids = due_runs(own, 2)
    batch = Batch(own.schedules, flags, ids)
    Performer(own, batch, LeaseKeeper(own.runs, flags, batch.close), ids).run_all()
    back.join()
    ended, left = own.runs.get(first), own.runs.get(second)
    assert ended is not None
    assert left is not None
    assert (ended.state, len(ended.tries), ended.tries[0]["error"]) == ("done", 1, None)
    assert (left.state, left.tries) == ("waiting", ())
