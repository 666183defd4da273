"""The lease of a delivery: renewed while the request lasts, and nothing is counted for a try that has lost it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.services import Services
from app.settings import Settings
from app.store import Store
from app.store.runs.run import Run, field_of, parts_of
from harness.downstream import KEY, Delivery, Downstream, Reply
from harness.servers import PATIENCE_S, eventually
from harness.settings import make_settings
from tests.workers.news import tell
from workers.forward.forwarder import DELIVERY_HANDLER, Forwarder
from workers.relay import held_runs


@pytest.fixture
def settings(settings: Settings, downstream: Downstream) -> Settings:
    return make_settings(
        settings.redis_url,
        forward_urls=f"{downstream.url}/hook",
        forward_keys=KEY,
        forward_allow_private="127.0.0.0/8",
        forward_timeout="60s",
    )


@pytest.fixture
def held(downstream: Downstream) -> Iterator[threading.Event]:
    """The first delivery has no answer until this is set."""
    release = threading.Event()

    def first_waits(_: Delivery, before: int) -> Reply:
        if not before:
            release.wait(PATIENCE_S)
        return Reply()

    downstream.behaviours["/hook"] = first_waits
    yield release
    release.set()


@pytest.fixture
def relay(services: Services, settings: Settings) -> Iterator[Callable[[], Forwarder]]:
    """Makes the part of a relay that delivers to the endpoint; the test makes its steps."""
    made = []

    def make() -> Forwarder:
        made.append(Forwarder(services.store, settings, settings.endpoints[0]))
        return made[-1]

    yield make
    for each in made:
        each.close(time.monotonic())


def planned(services: Services) -> str:
    """An event to deliver; returns the id of its run."""
    (endpoint,) = services.settings.endpoints
    job_id, event_id = tell(services)
    (posted,) = [each for each in services.store.outbox.after("0-0", 100) if each.event.event_id == event_id]
    services.store.runs.plan([(posted.event, [(DELIVERY_HANDLER, endpoint.name)])])
    (run,) = services.store.runs.of_job(job_id)
    return run.id


def lease_ends(store: Store, run_id: str) -> None:
    """As if its relay had not renewed it: the run is due again."""
    event, _, endpoint = parts_of(run_id)
    store.db.client.hset(store.db.key("runs_of", event), field_of("lease", run_id), 0)
    store.db.client.zadd(store.db.key("deliveries", endpoint), {run_id: 0}, xx=True)


def due_at(store: Store, run_id: str) -> float:
    return float(store.db.client.zscore(store.db.key("deliveries", parts_of(run_id)[2]), run_id) or 0)


def run_of(store: Store, run_id: str) -> Run:
    run = store.runs.get(run_id)
    assert run is not None
    return run


def stepped(forwarder: Forwarder, condition: Callable[[], object]) -> Callable[[], object]:
    """For ``eventually``: a step, then the condition."""

    def step() -> object:
        forwarder.step()
        return condition()

    return step


def test_a_delivery_that_takes_long_keeps_its_lease(
    services: Services,
    relay: Callable[[], Forwarder],
    downstream: Downstream,
    held: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long it takes to resolve the endpoint's name, which no timeout of ours bounds."""
    monkeypatch.setattr(held_runs, "RENEW_S", 0.05)
    store, run_id, mine = services.store, planned(services), relay()
    eventually(stepped(mine, lambda: downstream.on("/hook")), "the request")
    first = due_at(store, run_id)
    eventually(stepped(mine, lambda: due_at(store, run_id) > first), "the lease to be renewed")
    held.set()
    eventually(stepped(mine, lambda: run_of(store, run_id).state == "done"), "the end")
    assert len(downstream.on("/hook")) == len(run_of(store, run_id).tries) == 1


def test_a_lost_lease_gives_the_run_to_another_relay_only(
    services: Services,
    relay: Callable[[], Forwarder],
    downstream: Downstream,
    held: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same relay does not start the run twice; of the two tries, one is recorded and counted."""
    monkeypatch.setattr(held_runs, "RENEW_S", 3600.0)
    store, run_id, mine, other = services.store, planned(services), relay(), relay()
    endpoint = mine.endpoint.name
    eventually(stepped(mine, lambda: downstream.on("/hook")), "the request")
    lease_ends(store, run_id)
    eventually(stepped(mine, lambda: due_at(store, run_id) > 0), "the run to be taken, and put off")
    assert len(run_of(store, run_id).tries) == 1, "its thread still has the run"
    lease_ends(store, run_id)
    eventually(stepped(other, lambda: run_of(store, run_id).state == "done"), "the other relay to deliver")
    eventually(lambda: store.deliveries.state(endpoint).outcomes.get("delivered"), "it to be counted")
    held.set()
    mine.close(time.monotonic() + PATIENCE_S)
    assert len(run_of(store, run_id).tries) == 2
    assert store.deliveries.state(endpoint).outcomes["delivered"] == 1
