"""Runs that kill, hang or hog their process: each ends as a failure, and delays no other run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.settings import Settings
from harness.servers import eventually
from tests.workers.fleet import Fleet

KINDS = {  # tag: tries allowed, what the record says of a try
    "Raise": (3, "ValueError: as requested"),
    "Kill": (3, "its process was ended by signal 9 (SIGKILL)"),
    "Exit": (3, "its process exited with code 0, before the run had ended"),
    "SysExit": (2, "SystemExit: 0"),
    "Hog": (2, "MemoryError"),
    "Hang": (2, "took longer than 1 s"),
    "Swallow": (2, "took longer than its timeout, and could not be interrupted"),
    "Block": (2, "took longer than its timeout, and could not be interrupted"),
}


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(settings, tmp_path) as running:
        yield running


@pytest.mark.parametrize("tag", KINDS)
def test_poison_ends_as_a_failure_and_delays_no_other_run(fleet: Fleet, tag: str) -> None:
    """Each start counts as a try; the other runs are performed, each once."""
    tries, error = KINDS[tag]
    ids = [f"j{n}" for n in range(40)]
    for job_id in ids:
        fleet.end(job_id, tag if job_id == "j7" else "Quick")
    others = set(ids) - {"j7"}
    eventually(lambda: set(fleet.times("quick")) == others, f"all others: {fleet.logs()}")
    eventually(lambda: fleet.state_of("j7") == "failed", f"{tag} to be given up: {fleet.logs()}")
    assert fleet.times(tag.lower()) == {"j7": tries}
    assert set(fleet.times("quick").values()) == {1}, "no other run was started twice for it"
    run = fleet.run_of("j7")
    assert run is not None
    errors = [entry["error"][: len(error)] for entry in run.tries]
    if tag == "Hang" and error in errors:
        # On a machine that stalls for 5 s the watcher may end the process first; not each time.
        errors = [
            error if each["error"].startswith(KINDS["Block"][1]) else each["error"] for each in run.tries
        ]
    assert errors == [error] * tries
    assert fleet.store.db.client.zscore(fleet.store.db.key("failures"), run.id) is not None
    eventually(lambda: fleet.store.schedules.next_due_s() is None, "an empty schedule")


def test_a_thread_left_behind_does_not_hold_a_batch(fleet: Fleet) -> None:
    """The process of a batch ends although handlers have left threads in it that sleep for ten minutes."""
    for n in range(4):
        fleet.end(f"j{n}", "Thread")
    fleet.end("j9", "Quick")
    eventually(lambda: fleet.state_of("j9") == "done", f"the others: {fleet.logs()}")
    eventually(lambda: len(fleet.notes("thread")) == 4, f"the four handlers: {fleet.logs()}")
    pids = {int(pid) for _, _, _, pid, *_ in fleet.notes("thread")}
    eventually(lambda: not any(map(psutil.pid_exists, pids)), f"their processes to end: {fleet.logs()}")
