"""Relays and workers are killed at any line: every event's run is performed soon, and a healthy one only once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from app.redis.scripts import decoded_all
from app.settings import Settings
from app.store import UNAVAILABLE
from harness.servers import Valkey, eventually
from tests.workers.fleet import Fleet, family, kill_family, send

SOON_S = 90
"""The promise is half a minute on an idle machine; a busy one gets three times that."""


def _begun(fleet: Fleet, job_id: str, times: int) -> float:
    """When the run of this job began for the n-th time; 0 if it has not."""
    begins = [float(line[4]) for line in fleet.notes("begin") if line[1] == job_id]
    return begins[times - 1] if len(begins) >= times else 0.0


@pytest.mark.parametrize("others", [0, 1], ids=["the only worker", "one of two"])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_run_whose_worker_died_starts_again(
    settings: Settings, tmp_path: Path, busy: bool, others: int
) -> None:
    """SIGKILL to the worker and all that it started, in the middle of a run, on a busy or an idle fleet."""
    with Fleet(settings, tmp_path) as fleet:
        # It must not end before another worker has started, nor before it is killed.
        fleet.end("jlong", "Long", "110")
        eventually(lambda: _begun(fleet, "jlong", 1), f"the run to begin: {fleet.logs()}")
        if busy:
            for n in range(200):
                fleet.end(f"j{n}", "Quick")
        if others:
            fleet.add_worker()
            eventually(lambda: fleet.store.presence.seen("worker") >= 4, "the other worker")
        kill_family(fleet.workers[0])
        if not others:
            fleet.add_worker()
        eventually(lambda: _begun(fleet, "jlong", 2), f"it to begin again: {fleet.logs()}", SOON_S)


def test_a_run_whose_process_died_starts_again_in_a_moment(settings: Settings, tmp_path: Path) -> None:
    """If only the process of the batch is killed, its worker does not wait for the end of the lease."""
    with Fleet(settings, tmp_path) as fleet:
        fleet.end("jlong", "Long", "110")
        eventually(lambda: _begun(fleet, "jlong", 1), f"the run to begin: {fleet.logs()}")
        os.kill(int(fleet.notes("begin")[0][3]), signal.SIGKILL)
        eventually(lambda: _begun(fleet, "jlong", 2), f"it to begin again: {fleet.logs()}")
        run = fleet.run_of("jlong")
        assert run is not None
        assert "stopped answering" not in run.tries[0]["error"], "no worker waited for the end of its lease"


def test_a_run_outlives_its_worker(settings: Settings, tmp_path: Path) -> None:
    """SIGKILL to the worker but not to the process of its batch: the run goes on, and is not started twice."""
    with Fleet(settings, tmp_path) as fleet:
        fleet.end("jlong", "Long", "25")
        eventually(lambda: _begun(fleet, "jlong", 1), f"the run to begin: {fleet.logs()}")
        at_work = int(fleet.notes("begin")[0][3])
        for each in family(fleet.workers[0]):
            if each.pid != at_work:
                send(each, signal.SIGKILL)
        fleet.add_worker()
        eventually(lambda: fleet.state_of("jlong") == "done", f"its end: {fleet.logs()}")
        assert fleet.times("begin") == fleet.times("end") == {"jlong": 1}


@pytest.mark.slow
def test_a_healthy_long_run_is_never_started_twice(settings: Settings, tmp_path: Path) -> None:
    """A run of 40 s, on an idle fleet and on a busy one: one start."""
    with Fleet(settings, tmp_path, relays=2, workers=2) as fleet:
        fleet.end("jlong", "Long", "40")
        eventually(lambda: _begun(fleet, "jlong", 1), f"the run to begin: {fleet.logs()}")
        for n in range(300):
            fleet.end(f"j{n}", "Quick")
            time.sleep(0.1)
        eventually(lambda: fleet.state_of("jlong") == "done", f"its end: {fleet.logs()}")
        assert fleet.times("begin") == {"jlong": 1}
        assert len(fleet.times("quick")) == 300


def test_sigterm_lets_the_run_finish(settings: Settings, tmp_path: Path) -> None:
    """A worker that gets SIGTERM finishes its run, releases the rest of its batch, and ends."""
    with Fleet(_with(settings, worker_processes=1), tmp_path) as fleet:
        fleet.end("jlong", "Long", "4")
        for n in range(10):
            fleet.end(f"j{n}", "Quick")
        eventually(lambda: _begun(fleet, "jlong", 1), f"the run to begin: {fleet.logs()}")
        assert fleet.workers[0].stop() == 0, fleet.logs()
        assert fleet.state_of("jlong") == "done"
        fleet.add_worker()
        eventually(lambda: len(fleet.times("quick")) == 10, f"the rest: {fleet.logs()}")
        assert set(fleet.times("quick").values()) == {1}


def test_relays_may_be_killed_at_any_line(settings: Settings, tmp_path: Path) -> None:
    """Under load, relays are killed again and again, and another takes over: no event's run is lost or made twice."""
    chance = random.Random(4)
    with Fleet(settings, tmp_path, relays=2) as fleet:
        for turn in range(12):
            for n in range(60):
                fleet.end(f"j{turn}-{n}", "Quick")
            time.sleep(chance.uniform(0, 0.3))
            fleet.relays.pop(0).kill()
            fleet.add_relay()
        wanted = {f"j{turn}-{n}" for turn in range(12) for n in range(60)}
        eventually(lambda: set(fleet.times("quick")) == wanted, f"all runs: {fleet.logs()}")
        eventually(lambda: fleet.store.schedules.next_due_s() is None, "an empty schedule")
        assert set(fleet.times("quick").values()) == {1}


def test_a_redis_that_comes_back_empty_needs_no_restart(settings: Settings, tmp_path: Path) -> None:
    """FLUSHALL removes the consumer group; relays and workers go on with later events."""
    with Valkey(tmp_path) as own, Fleet(_with(settings, redis_url=own.url), tmp_path) as fleet:
        fleet.end("j1", "Quick")
        eventually(lambda: fleet.times("quick") == {"j1": 1}, f"the first: {fleet.logs()}")
        fleet.store.db.client.flushall()
        fleet.end("j2", "Quick")
        eventually(lambda: fleet.times("quick")["j2"], f"the second: {fleet.logs()}")


def test_a_redis_that_is_restarted_loses_no_run(settings: Settings, tmp_path: Path) -> None:
    """SIGKILL to Redis under load, several times: every run that it had acknowledged is performed."""
    synced = Valkey(tmp_path, "--appendfsync", "always")
    with synced as own, Fleet(_with(settings, redis_url=own.url), tmp_path) as fleet:
        for turn in range(4):
            for n in range(50):
                fleet.end(f"j{turn}-{n}", "Quick")
            time.sleep(0.2)
            own.kill()
            own.socket.unlink(missing_ok=True)
            time.sleep(0.5)
            own.start()
            eventually(lambda: _answers(fleet), "Redis to be back")
        wanted = {f"j{turn}-{n}" for turn in range(4) for n in range(50)}
        eventually(lambda: set(fleet.times("quick")) == wanted, f"all runs: {fleet.logs()}")


def test_rq_keeps_nothing(settings: Settings, tmp_path: Path) -> None:
    """After 150 runs RQ's own keys are only those of its workers and its queue."""
    with Valkey(tmp_path) as own, Fleet(_with(settings, redis_url=own.url), tmp_path) as fleet:
        for n in range(150):
            fleet.end(f"j{n}", "Quick" if n % 3 else "Raise")
        eventually(lambda: fleet.store.schedules.next_due_s() is None, f"all runs: {fleet.logs()}")
        redis = fleet.store.db.client

        def names() -> set[str]:
            """RQ's keys, without those of single workers and without ``first_seen`` keys, which expire."""
            found = decoded_all(redis.scan_iter("rq:*"))
            passing = {name for name in found if ":first_seen:" in name and int(redis.ttl(name)) > 0}
            return {name for name in found if not name.startswith("rq:worker:")} - passing

        few = {
            "rq:queues",
            "rq:workers",
            f"rq:workers:{settings.key_prefix.strip(':')}:default",
            "rq:clean_groups",
        }
        eventually(lambda: names() <= few, f"nothing but {few}, not {names()}")


def _with(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)


def _answers(fleet: Fleet) -> bool:
    try:
        return bool(fleet.store.db.client.ping())
    except UNAVAILABLE:
        return False
