"""Retention removes payloads first, then whole jobs, those with failures last; no key of them is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from app.core.clock import now_ms
from app.settings import Settings
from app.store import Store
from app.store.failures.failures import FailureFilter
from app.store.members import member_of
from app.store.runs.run import OUTPUTS_HANDLER, End, Start, run_id
from harness.servers import ROOT
from tests.store.invariants import broken_invariants
from tests.store.jobs.populated import (
    ANY_AGE,
    FIXED,
    kept_keys,
    new_submission,
    plan_all,
    populate,
    remove_all,
)
from tests.store.said import said, tell


def test_nothing_is_left_of_what_is_removed(store: Store) -> None:
    """After a sweep of a full store only keys that do not grow with the jobs are left."""
    populate(store)
    plan_all(store)
    store.due.count("j3", 60)
    assert not broken_invariants(store)
    remove_all(store)
    assert kept_keys(store) - FIXED - {"slow_times"} == set()


def test_events_that_come_late_leave_nothing(store: Store) -> None:
    """A relay that has read an event before its job was removed makes no runs of it."""
    tell(store, said("j1", "Success"))
    store.retention.drop_job("j1")
    plan_all(store, None)
    assert kept_keys(store) == {"events", "schema"}


def test_payloads_go_first(store: Store) -> None:
    """The job and its history stay, and the record says that the payload is gone."""
    tell(store, said("j1", "Running"))
    tell(store, said("j1", "Success"))
    for each in store.db.client.scan_iter(store.db.key("body", "*")):
        store.db.client.delete(each)
    job = store.jobs.get("j1")
    assert job is not None
    assert (job.state, job.raw, store.jobs.raw_bytes("j1", 2)) == ("Success", None, None)
    assert store.jobs.history("j1")[1] == 2
    tell(store, said("j1", "Success", message="again"))
    assert store.jobs.raw_bytes("j1", 3) is not None


def test_young_jobs_stay(store: Store) -> None:
    """A job's age counts from its last change."""
    tell(store, said("jold", "Running"))
    tell(store, said("jyoung", "Running"))
    long_ago = now_ms() - 100_000
    for job_id in ("jold", "jyoung"):
        store.db.client.zadd(store.db.key("touched"), {member_of(job_id): long_ago})
    tell(store, said("jyoung", "Success"))
    store.retention.drop_jobs(50, 100)
    assert store.jobs.get("jold") is None
    assert store.jobs.get("jyoung") is not None
    # Only the stream still has a removed job, until it is trimmed.
    assert broken_invariants(store) == ["an event of an unknown job: jold"]


@pytest.mark.parametrize("state", ["failed", None], ids=["failed", "waiting"])
def test_jobs_whose_runs_are_not_over_stay_longer(store: Store, state: str | None) -> None:
    """They stay twice as long; then they and their failures are removed."""
    tell(store, said("j1", "Success"))
    plan_all(store, state)
    store.retention.drop_jobs(ANY_AGE, 100)
    assert store.jobs.get("j1") is not None
    store.retention.drop_jobs(ANY_AGE, 100)
    assert store.jobs.get("j1") is None
    assert kept_keys(store) - FIXED == set()


def test_a_failure_of_a_job_that_is_kept_keeps_it_again(store: Store) -> None:
    """The job is kept for one failure; a later report fails too, and is kept as long from then on."""
    tell(store, said("j1", "Running"))
    plan_all(store, "failed")
    store.retention.drop_jobs(ANY_AGE, 100)
    tell(store, said("j1", "Success"))
    plan_all(store, "failed")
    store.retention.drop_jobs(ANY_AGE, 100)
    assert len(store.failures.page(FailureFilter(), 10)[0]) == 4
    store.retention.drop_jobs(ANY_AGE, 100)
    assert store.jobs.get("j1") is None
    assert store.failures.count() == 0


def test_dismissed_failures_keep_no_job(store: Store) -> None:
    """An operator has looked at them."""
    tell(store, said("j1", "Success"))
    plan_all(store, "failed")
    for run in store.failures.all(FailureFilter()):
        store.failures.dismiss(run, "me", "seen")
    store.retention.drop_jobs(ANY_AGE, 100)
    assert store.jobs.get("j1") is None


def test_a_submission_goes_with_the_last_of_its_jobs(store: Store) -> None:
    """A submission with jobs is kept as long as the last of them."""
    submission = new_submission(store)
    tell(store, said("j1", "Submitted"), said("j2", "Submitted"), source="submit", submission=submission)
    store.retention.drop_submissions(ANY_AGE, 100)
    assert store.submissions.get(submission) is not None
    store.retention.drop_job("j1")
    assert store.submissions.get(submission) is not None
    store.retention.drop_job("j2")
    assert store.submissions.get(submission) is None


def test_a_job_that_was_removed_is_not_brought_back(store: Store) -> None:
    """While another job of the submission stays, CI is asked only about a job whose record was lost."""
    submission = new_submission(store)
    tell(store, said("j1", "Submitted"), said("j2", "Submitted"), source="submit", submission=submission)
    dropped = store.retention.drop_job("j1")
    assert dropped is not None
    assert (dropped.entries, dropped.payloads, dropped.submission) == (1, 1, None)
    assert store.submissions.without_record([submission]) == []
    store.db.client.delete(store.db.key("job", "j2"))
    assert store.submissions.without_record([submission]) == [submission]
    assert store.retention.drop_job("j1") is None


def test_look_ups_go_with_their_job(store: Store) -> None:
    """A check of outputs that is due has a schedule of its own, and leaves it."""
    tell(store, said("j1", "Success"))
    (posted,) = store.outbox.after("0", 10)
    store.runs.plan([(posted.event, [(OUTPUTS_HANDLER, None)])])
    assert store.schedules.lookups_backlog().due == 1
    store.retention.drop_job("j1")
    assert store.db.client.zcard(store.db.key("lookups")) == 0


def test_a_running_run_leaves_nothing_of_a_removed_job(store: Store) -> None:
    """The worker goes on and tries to write lease, end and batch: none of it is stored."""
    tell(store, said("j1", "Success"))
    plan_all(store, None)
    (event,) = [posted.event for posted in store.outbox.after("0", 10)]
    run = run_id(event.event_id, "h")
    assert store.runs.start(Start(run, 15, 3, "w")) == 1
    dropped = store.retention.drop_job("j1")
    assert dropped is not None
    assert (dropped.runs, dropped.failures) == (2, 0)
    assert not store.runs.beat(run, 1, 15)
    assert not store.runs.finish(End(run, 1, "waiting", {"n": 1}))
    store.schedules.hand_back([run])
    assert store.runs.start(Start(run, 15, 3, "w")) == 0
    assert kept_keys(store) - FIXED == set()


SWEEP = """
    import sys
    from app.store import Store
    store = Store.open(sys.argv[1], sys.argv[2], timeout=5)
    retention = store.retention
    print("begins", flush=True)
    for step in (retention.drop_jobs, retention.drop_submissions):
        while step(-1.0, 3):
            pass
"""


def test_a_sweep_may_be_killed_anywhere(store: Store, settings: Settings) -> None:
    """The next one finishes what it began; in between no index names a job that is gone."""
    populate(store)
    plan_all(store)
    for _ in range(6):
        command = [sys.executable, "-c", textwrap.dedent(SWEEP), settings.redis_url, settings.key_prefix]
        sweep = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert sweep.stdout is not None
        sweep.stdout.readline()
        time.sleep(random.uniform(0, 0.02))
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
        faults = [f for f in broken_invariants(store) if not f.startswith("an event of an unknown job")]
        assert not faults
    remove_all(store)
    assert kept_keys(store) - FIXED - {"slow_times"} == set()
