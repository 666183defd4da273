"""A slow, hanging or leaking handler harms no other lane, by real processes; lanes are shown, paused and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.settings import Settings
from app.settings.lanes import Lane
from app.store import Store
from app.store.failures.failures import FailureFilter
from app.store.lanes.lanes import lane_role
from app.store.runs.run import End, Start, run_id
from harness.servers import Service, eventually
from harness.settings import make_settings
from tests.store.said import said, tell
from tests.workers.conftest import Start as StartService
from tests.workers.fleet import Fleet
from tests.workers.news import tell as tell_service
from workers.worker.lanes import divided, memory_of

HANDLERS = ("tests.workers.lanes.lane_handlers",)


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[Fleet]:
    """One relay and one worker with two processes; LANES only bounds the memory of one lane."""
    bounded = settings.model_copy(update={"lanes": (Lane.parse("big:memory=200MiB"),)})
    with Fleet(bounded, tmp_path, handlers=HANDLERS) as fleet:
        yield fleet


def test_a_lane_that_is_full_delays_no_other(fleet: Fleet) -> None:
    """While a hanging handler fills its lane, handlers of the default lane run; the full lane shows how many runs wait
    and for how long."""
    eventually(lambda: fleet.store.presence.seen(lane_role("slow")), "the lane's worker")
    fleet.end("h1", "Hang")
    eventually(lambda: fleet.notes("hang"), f"the hanging handler: {fleet.logs()}")
    for n in range(20):
        fleet.end(f"s{n}", "Slow")
    for n in range(20):
        fleet.end(f"q{n}", "Quick")
    eventually(lambda: len(fleet.times("quick")) == 20, f"the quick ones: {fleet.logs()}")
    assert not fleet.notes("slow") and fleet.state_of("h1") == "running"
    state = eventually(lambda: _waiting(fleet.store, "slow"), "runs of the slow lane that wait")
    assert state.workers == 1 and state.declared and state.due > 0 and state.planned == 21
    states = {each.name: each for each in fleet.store.lanes.all()}
    assert list(states) == ["default", "big", "slow"] and states["default"].due == 0
    assert not fleet.store.lanes.unserved()


def _waiting(store: Store, name: str) -> Any:
    state = store.lanes.state(name)
    return state if state and state.due and state.oldest_s > 0 else None


@pytest.mark.parametrize("tag", ["Leak", "Grab"])
def test_a_handler_beyond_its_memory_bound_fails(fleet: Fleet, tag: str) -> None:
    """Beyond the bound of its lane a handler gets MemoryError, a failed try with a traceback; the next run of that
    lane is performed."""
    fleet.end("l1", tag)
    failed = eventually(
        lambda: fleet.store.failures.page(FailureFilter(), 5)[0], f"the failure: {fleet.logs()}"
    )
    assert failed[0].tries[-1]["error"].startswith("MemoryError")
    assert tag.lower() in failed[0].tries[-1]["traceback"]
    fleet.end("m1", "Modest")
    eventually(lambda: fleet.state_of("m1") == "done", f"the modest one: {fleet.logs()}")


def test_a_worker_serves_the_lanes_it_is_given(settings: Settings, tmp_path: Path) -> None:
    """With ``--queues slow`` no run of the default lane starts, and that lane is listed as served by no worker."""
    with Fleet(settings, tmp_path, handlers=HANDLERS, workers=0) as fleet:
        fleet.add_worker("--queues", "slow")
        eventually(lambda: fleet.store.presence.seen(lane_role("slow")) == 2, "two workers of the lane")
        fleet.end("q1", "Quick")
        fleet.end("s1", "Slow")
        eventually(lambda: fleet.notes("slow"), f"the slow one: {fleet.logs()}")
        eventually(lambda: fleet.store.lanes.unserved() == ["default", "big"], "the lanes without workers")
        assert not fleet.notes("quick")
        fleet.add_worker("--queues", "default")
        eventually(lambda: fleet.notes("quick"), f"the quick one: {fleet.logs()}")
        assert fleet.store.lanes.unserved() == ["big"]


def test_runs_whose_handler_has_moved_run_in_its_new_lane(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Runs in a lane that no handler uses any more are moved to the lane of their handler."""
    tell(store, said("q1", "Success", tag="Quick"))
    (posted,) = store.outbox.after("0-0", 10)
    store.outbox.open()
    store.lanes.declare(["default", "older"])
    store.runs.plan([(posted.event, [("quick", None)])], {"quick": "older"})
    assert store.lanes.state("older") and store.schedules.backlog("older").due == 1
    with Fleet(settings, tmp_path, handlers=HANDLERS) as fleet:
        eventually(lambda: fleet.state_of("q1") == "done", f"the run: {fleet.logs()}")
        assert len(fleet.notes("quick")) == 1


def test_a_worker_without_lanes_has_no_additional_processes(settings: Settings, tmp_path: Path) -> None:
    """With one lane a worker has WORKER_PROCESSES processes."""
    with Fleet(settings, tmp_path) as fleet:
        eventually(lambda: fleet.store.presence.seen(lane_role("default")) == 2, "both workers")
        assert len(psutil.Process(fleet.workers[0].pid).children()) == 2


# ── the store ──


def _planned(store: Store, lane: str = "slow") -> str:
    tell(store, said("j1", "Success"))
    event = store.outbox.after("0-0", 10)[0].event
    store.runs.plan([(event, [("h", None)])], {"h": lane})
    return run_id(event.event_id, "h")


def test_a_run_stays_in_its_lane(store: Store) -> None:
    """After a lease, a release, an end and a retry, which name no lane, only its lane's schedule has the run."""
    each = _planned(store)
    redis, lane = store.db.client, store.db.key("lane", "slow")
    assert store.schedules.take_due(10, 5) == [] and store.schedules.take_due(10, 5, "slow") == [each]
    assert store.schedules.hand_back([each]) == 1 and store.schedules.backlog("slow").due == 1
    assert store.runs.start(Start(each, 15, 2, "w")) == 1 and store.runs.beat(each, 1, 15)
    assert redis.zscore(lane, each) and not redis.exists(store.db.key("runs"))
    assert store.runs.finish(End(each, 1, "failed", {"n": 1, "error": "E"}))
    assert not redis.exists(lane)
    (run,) = store.failures.page(FailureFilter(), 5)[0]
    assert store.failures.retry(run, "me") and redis.zscore(lane, each)
    store.retention.drop_job("j1")
    assert not redis.exists(lane) and not redis.exists(store.db.key("runs"))


def test_a_paused_lane_starts_nothing(store: Store) -> None:
    """A run that was handed out before does not start either; after the lane is resumed it does."""
    store.lanes.declare(["default", "slow"])
    each = _planned(store)
    assert store.schedules.take_due(10, 60, "slow") == [each]
    store.lanes.pause("slow", "me")
    assert store.runs.start(Start(each, 15, 2, "w")) == 0
    state = store.lanes.state("slow")
    assert state and state.paused and state.paused.by == "me" and state.due == 1
    store.lanes.resume("slow")
    assert store.runs.start(Start(each, 15, 2, "w")) == 1
    state = store.lanes.state("slow")
    assert state and not state.paused


def test_a_pause_of_the_default_lane_holds_up_no_delivery(store: Store) -> None:
    """Deliveries and look-ups of outputs are in no lane."""
    tell(store, said("j1", "Success"))
    event = store.outbox.after("0-0", 10)[0].event
    targets = [("forward", "shop"), ("check_outputs", None), ("h", None)]
    store.runs.plan([(event, targets)])
    store.lanes.pause("default", "me")
    started = [store.runs.start(Start(run_id(event.event_id, *target), 15, 2, "w")) for target in targets]
    assert started == [1, 1, 0]


# ── how processes are divided ──


@pytest.mark.parametrize(
    ("processes", "lanes", "served", "expected"),
    [
        (2, "", ["default"], {"default": 2}),
        (2, "", ["default", "slow"], {"default": 1, "slow": 1}),
        (1, "", ["default", "a", "b"], {"default": 1, "a": 1, "b": 1}),
        (5, "", ["a", "default"], {"default": 3, "a": 2}),
        (4, "slow:processes=1", ["default", "slow"], {"slow": 1, "default": 3}),
        (2, "slow:processes=8", ["default", "slow"], {"slow": 8, "default": 1}),
        (2, "slow:processes=8", ["default"], {"default": 2}),
    ],
)
def test_each_lane_has_a_process(
    processes: int, lanes: str, served: list[str], expected: dict[str, int]
) -> None:
    """A lane has the processes that LANES gives it; the others share the rest, at least one process each."""
    settings = make_settings("redis://127.0.0.1:1", worker_processes=processes, lanes=lanes)
    assert divided(settings, served) == expected


def test_a_lane_s_own_memory_bound_overrides_the_general_one() -> None:
    """``memory=`` of LANES, else HANDLER_MEMORY."""
    settings = make_settings("redis://127.0.0.1:1", lanes="big:memory=1GiB", handler_memory="10MiB")
    assert (memory_of(settings, "big"), memory_of(settings, "default")) == (2**30, 10 * 2**20)


@pytest.mark.parametrize(
    "text", ["Slow", "a b", "slow:processes=0", "slow:memory=lots", "slow:speed=1", "a,a"]
)
def test_a_wrong_lane_is_refused(text: str) -> None:
    """The settings cannot be made, and the message names the fault."""
    with pytest.raises(ValueError, match=r"lane|processes|memory"):
        make_settings("redis://127.0.0.1:1", lanes=text)


# ── the API ──


@pytest.fixture
def service(start: StartService) -> Service:
    return start({"NOTES": "/dev/null"}, handlers="tests.workers.lanes.lane_handlers")


def test_lanes_are_shown_paused_and_resumed(service: Service) -> None:
    """The API shows, pauses and resumes lanes; the metrics have the number of due runs of each."""

    def lanes() -> list[tuple[str, int]]:
        shown = service.call("GET", "/v1/lanes").json()["lanes"]
        return [(each["name"], each["workers"]) for each in shown]

    eventually(lambda: lanes() == [("default", 1), ("big", 1), ("slow", 1)], lambda: f"the lanes: {lanes()}")
    answer = service.call("POST", "/v1/lanes/default/pause").json()
    assert answer["paused"]["by"] == "tests"
    job_id, _ = tell_service(service.services, Tag="Quick")
    figures = ('ci_lane_runs_due{lane="default"} 1.0', 'ci_lane_runs_due{lane="slow"} 0.0')
    eventually(
        lambda: all(each in service.call("GET", "/metrics").text for each in figures), "the run to be due"
    )
    assert service.call("POST", "/v1/lanes/default/resume").json()["paused"] is None
    runs = service.services.store.runs
    eventually(lambda: [run.state for run in runs.of_job(job_id)] == ["done"], "the run to be done")
    assert service.call("POST", "/v1/lanes/none/pause").status_code == 404
