"""What is old goes: payloads first, then whole jobs, those with failures last; and nothing of them stays."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import pytest
from msgspec.structs import replace

from app.ci.report import TERMINAL
from app.core.clock import now_ms, rfc3339
from app.core.event_kinds import TROUBLES
from app.redis.scripts import decoded_all, text_map
from app.services import Services
from app.settings import Settings
from app.store import NotBelieved, Store
from app.store.failures.failures import FailureFilter
from app.store.members import member_of
from app.store.packing.packing import pack
from app.store.refusals.refusal import Refusal
from app.store.runs.run import OUTPUTS_HANDLER, End, Start, run_id
from app.store.submissions.submissions import Submission, deadline_after, new_submission_id
from harness.servers import ROOT
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell
from workers.relay.retention import step as sweep_step

NOW = -1.0
"""An age that everything has."""

FIXED = {
    "tries",
    "events",
    "keys",
    "revoked",
    "presence:relay",
    "presence:worker",
    "probe",
    "endpoints",
    "schema",
}
"""Keys whose number and size do not grow with the jobs."""


def _keys(store: Store) -> set[str]:
    """All keys but those that expire by themselves."""
    redis, prefix = store.db.client, store.db.prefix
    return {
        key.removeprefix(prefix) for key in decoded_all(redis.scan_iter(f"{prefix}*")) if redis.ttl(key) == -1
    }


def new_submission(
    store: Store, token_expires: int | None = None, submitted_at: str = "2022-06-27T07:23:10Z"
) -> str:
    submission = Submission(
        new_submission_id(), "sending", submitted_at, deadline_after(60), "own", "b", "r", key_id="k1",
        token_expires=token_expires,
    )  # fmt: skip
    store.submissions.create(submission)
    return submission.id


def _plan_all(store: Store, state: str | None = "done") -> None:
    """Runs of all news: one of a handler, one of an endpoint; ended in ``state``, or left to wait."""
    events = [posted.event for posted in store.outbox.after("0", 10_000)]
    for event in [each for each in events if each.kind not in TROUBLES]:
        store.runs.plan([(event, [("h", None), ("forward", "https://there.example.com/hook")])])
        for each in (
            run_id(event.event_id, "h"),
            run_id(event.event_id, "forward", "https://there.example.com/hook"),
        ):
            if state and store.runs.start(Start(each, 15, 1, "w")) > 0:
                store.runs.finish(End(each, 1, state, {"n": 1}))  # type: ignore[arg-type]


def _a_lot_of_everything(store: Store) -> None:
    for n in range(30):
        submission = new_submission(store)
        tell(store, said(f"j{n}", "Submitted", user_data=f"u{n % 3}"), source="submit", submission=submission)
        tell(
            store,
            said(f"j{n}", "Success", "2022-06-27T07:30:00Z", user_data=f"u{n % 3}"),
            submission=submission,
        )
        tell(
            store,
            said(f"j{n}", "Success", "2022-06-27T07:30:00Z", user_data=f"u{n % 3}"),
            submission=submission,
        )
    lost, failed = new_submission(store), new_submission(store)
    tell(store, said("jclaimed", "Success"), submission=lost)
    store.submissions.settle(lost, "lost", "its answer was lost")
    store.submissions.settle(failed, "failed", "CI said no")
    new_submission(store)
    tell(store, said("jalone", "Running"), said("jalone2", None))
    tell(store, said("jheld", "Success"), hold=True)
    tell(store, said("jpolled", "Failed"), source="poll")
    store.refusals.note(Refusal("binding_mismatch", "no", "t", {}, ("j3",), body=b"x"))
    with pytest.raises(NotBelieved):
        tell(store, said("jother", "Success"), submission=store.submissions.page(float("inf"), 99)[-1][0])
    store.due.slow_down(0.01)


def _sweep(store: Store, count: int = 7) -> None:
    retention = store.retention
    for step in (retention.drop_jobs, retention.drop_submissions):
        while step(NOW, count) == count:
            pass
    store.refusals.drop_old(NOW, count)


def test_nothing_is_left_of_what_is_removed(store: Store) -> None:
    """After a lot of everything, and a sweep, only keys that do not grow are there."""
    _a_lot_of_everything(store)
    _plan_all(store)
    store.due.count("j3", 60)
    assert not broken_invariants(store)
    _sweep(store)
    assert _keys(store) - FIXED - {"slow_times"} == set()


def test_events_that_come_late_leave_nothing(store: Store) -> None:
    """A relay that had an event in its hands when the job was removed makes no runs of it."""
    tell(store, said("j1", "Success"))
    store.retention.drop_job("j1")
    _plan_all(store, None)
    assert _keys(store) == {"events", "schema"}


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
    """By their last change, not by their first."""
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
    """Twice as long; then they go too, and leave no failure without its run."""
    tell(store, said("j1", "Success"))
    _plan_all(store, state)
    store.retention.drop_jobs(NOW, 100)
    assert store.jobs.get("j1") is not None
    store.retention.drop_jobs(NOW, 100)
    assert store.jobs.get("j1") is None
    assert _keys(store) - FIXED == set()


@pytest.mark.parametrize("state", ["Submitted", "Running", "Pause", None])
def test_a_job_that_has_not_ended_outlives_its_callback_url(store: Store, state: str | None) -> None:
    """Whatever its age: its end may still come by that URL. After the URL it goes, and so does its submission."""
    submission = new_submission(store, now_ms() + 60_000)
    tell(store, said("j1", state), source="submit", submission=submission)
    for _ in range(3):
        store.retention.drop_jobs(NOW, 100)
        store.retention.drop_submissions(NOW, 100)
    assert store.jobs.get("j1") is not None
    store.db.client.hset(store.db.key("submission", submission), "token_expires", now_ms() - 1)
    store.retention.drop_jobs(NOW, 100)
    assert store.jobs.get("j1") is None
    assert _keys(store) - FIXED == set()


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_job_that_has_ended_does_not_wait_for_its_callback_url(store: Store, state: str) -> None:
    """Nor does one that a person deletes."""
    for job_id, ends in (("j1", state), ("j2", "Running")):
        submission = new_submission(store, now_ms() + 60_000)
        tell(store, said(job_id, ends), source="submit", submission=submission)
    store.retention.drop_jobs(NOW, 100)
    assert store.jobs.get("j1") is None
    assert store.retention.drop_job("j2") is not None


def test_urls_of_earlier_releases_are_given_the_same_life(store: Store) -> None:
    """Their submissions do not say when the URL expires: it is CALLBACK_LIFE after they were submitted."""
    for job_id, age_s in (("jold", 40), ("jyoung", 20)):
        submission = new_submission(store, submitted_at=rfc3339(now_ms() - age_s * 1000))
        tell(store, said(job_id, "Running"), source="submit", submission=submission)
    store.retention.drop_jobs(NOW, 100, 30)
    assert store.jobs.get("jold") is None
    assert store.jobs.get("jyoung") is not None


def test_the_sweep_keeps_what_may_still_be_reported(services: Services) -> None:
    """A step of the relay: with the shortest lives that settings allow, and a URL of longer ones before."""
    short = services.settings.model_copy(update={"retention_jobs": 0.001, "callback_life": 0.001})
    store = services.store
    submission = new_submission(store, now_ms() + 60_000)
    tell(store, said("j1", "Running"), source="submit", submission=submission)
    tell(store, said("j2", "Running"))
    time.sleep(0.02)
    stopping = threading.Event()
    stopping.set()
    sweep_step(replace(services, settings=short), stopping)
    assert store.jobs.get("j1") is not None
    assert store.jobs.get("j2") is None


def test_a_submission_without_jobs_outlives_its_callback_url(store: Store) -> None:
    """Without its record the URL would mean something else."""
    submission = new_submission(store, now_ms() + 60_000)
    store.retention.drop_submissions(NOW, 100)
    assert store.submissions.get(submission) is not None


def test_an_expired_url_needs_its_key_no_longer(store: Store) -> None:
    """Its callbacks are refused in any case, so the key may go although the job has not ended."""
    new_submission(store, now_ms() - 1)
    assert store.submissions.open_keys() == {}
    new_submission(store, now_ms() + 60_000)
    assert store.submissions.open_keys() == {"k1": 1}


def test_news_that_fails_while_its_job_is_kept_is_kept_as_long(store: Store) -> None:
    """The job was kept for one failure; another piece of news comes and fails, and has its own time."""
    tell(store, said("j1", "Running"))
    _plan_all(store, "failed")
    store.retention.drop_jobs(NOW, 100)
    tell(store, said("j1", "Success"))
    _plan_all(store, "failed")
    store.retention.drop_jobs(NOW, 100)
    assert len(store.failures.page(FailureFilter(), 10)[0]) == 4
    store.retention.drop_jobs(NOW, 100)
    assert store.jobs.get("j1") is None
    assert store.failures.count() == 0


def test_dismissed_failures_keep_no_job(store: Store) -> None:
    """An operator has looked at them."""
    tell(store, said("j1", "Success"))
    _plan_all(store, "failed")
    for run in store.failures.all(FailureFilter()):
        store.failures.dismiss(run, "me", "seen")
    store.retention.drop_jobs(NOW, 100)
    assert store.jobs.get("j1") is None


def test_a_submission_goes_with_the_last_of_its_jobs(store: Store) -> None:
    """One with jobs is needed as long as they are; one without goes by its own age."""
    submission = new_submission(store)
    tell(store, said("j1", "Submitted"), said("j2", "Submitted"), source="submit", submission=submission)
    store.retention.drop_submissions(NOW, 100)
    assert store.submissions.get(submission) is not None
    store.retention.drop_job("j1")
    assert store.submissions.get(submission) is not None
    store.retention.drop_job("j2")
    assert store.submissions.get(submission) is None


def test_a_job_that_was_removed_is_not_brought_back(store: Store) -> None:
    """While another job of its submission stays: only one whose record was lost is asked about."""
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
    """Its worker goes on and records it: the lease, the end, the rest of its batch."""
    tell(store, said("j1", "Success"))
    _plan_all(store, None)
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
    assert _keys(store) - FIXED == set()


def test_a_submission_is_open_until_its_jobs_have_ended(store: Store) -> None:
    """So long the key that signed its token must not go."""
    submission = new_submission(store)
    assert store.submissions.open_keys() == {"k1": 1}
    tell(store, said("j1", "Submitted"), said("j2", "Submitted"), source="submit", submission=submission)
    tell(store, said("j1", "Success"), submission=submission)
    assert store.submissions.open_keys() == {"k1": 1}
    tell(store, said("j2", "Failed"), source="poll")
    assert store.submissions.open_keys() == {}
    store.submissions.settle(new_submission(store), "failed", "CI said no")
    assert store.submissions.open_keys() == {}


def test_an_end_that_came_before_the_answer_closes_too(store: Store) -> None:
    """The callback was first, and CI's answer names its job later."""
    submission = new_submission(store)
    tell(store, said("j1", "Success"), submission=submission)
    assert store.submissions.open_keys() == {"k1": 1}
    tell(store, said("j1", "Submitted"), source="submit", submission=submission)
    assert store.submissions.open_keys() == {}


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
    _a_lot_of_everything(store)
    _plan_all(store)
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
    _sweep(store)
    assert _keys(store) - FIXED - {"slow_times"} == set()


def test_a_flood_of_news_about_one_job_sets_off_no_end_of_runs(store: Store) -> None:
    """A leaked token: past a bound only an end or CI's own word moves the job, and CI is asked."""
    for n in range(30):
        tell(store, said("j1", "Running", message=str(n)), body=b"")
    assert store.outbox.size() == 18
    assert store.due.take(10, 60) == ["j1"]
    tell(store, said("j1", "Pause"))
    job = store.jobs.get("j1")
    assert job is not None
    assert job.state == "Running"
    assert tell(store, said("j1", "Running"), source="poll") == ["accepted"]


def test_the_outbox_is_trimmed_below_what_is_acknowledged(settings: Settings) -> None:
    """It keeps some entries for listeners, and all that no relay has acknowledged."""
    services = Services.open(settings.model_copy(update={"outbox_max": 400}), timeout=5)
    store = services.store
    store.outbox.open()
    for n in range(390):
        tell(store, said(f"j{n}", "Success"), body=b"")
    store.outbox.trim()
    assert store.outbox.size() == 390, "nothing was read"
    posted = store.outbox.read("one", 300, 1)
    store.outbox.acknowledge(posted[:100])
    store.outbox.trim()
    left = [each.event.event_id for each in store.outbox.after("0", 1000)]
    not_acknowledged = [each.event.event_id for each in posted[100:]]
    assert set(not_acknowledged) <= set(left), "what was read and not acknowledged stays"
    assert len(left) < 390, "what was acknowledged goes"
    store.outbox.acknowledge(posted[100:] + store.outbox.read("one", 300, 1))
    everything = [each.event.event_id for each in store.outbox.after("0", 1000)]
    store.outbox.trim()
    assert 200 <= store.outbox.kept() <= 240
    assert store.outbox.size() < 100, "the older ones are packed"
    for count in (1, 7, 50, 51, 1000):
        assert _walked(store, count) == everything[-store.outbox.kept() :], (
            "packed or not, each is read once, in order"
        )


def test_few_entries_are_packed_too_once_they_are_old(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where little happens they do not stay as they came: all but a few are packed, and read on as before."""
    store.outbox.open()
    for n in range(60):
        tell(store, said(f"j{n}", "Success"), body=b"")
    store.outbox.acknowledge(store.outbox.read("one", 100, 1))
    everything = _walked(store, 100)
    store.outbox.trim()
    assert store.outbox.size() == 60, "the newest stay as they are for a while"
    monkeypatch.setattr("app.store.events.outbox._OPEN_MS", 0)
    store.outbox.trim()
    assert store.outbox.size() < 10
    assert store.outbox.kept() == len(everything) == 60
    assert not store.outbox.resume("0-0")[0], "nothing is gone"
    tell(store, said("jlast", "Success"), body=b"")
    store.outbox.acknowledge(last := store.outbox.read("one", 100, 1))
    store.db.client.xtrim(store.db.key("events"), maxlen=0)
    assert store.outbox.last_id() == last[-1].stream_id, (
        "even with nothing left in the stream it knows its end"
    )
    assert not store.outbox.after(store.outbox.last_id(), 100)
    for count in (1, 7, 1000):
        assert _walked(store, count) == everything


def test_entries_that_an_earlier_release_packed_are_read(store: Store) -> None:
    """It packed them as JSON."""
    store.outbox.open()
    tell(store, said("j1", "Running"), said("j2", "Success"), body=b"")
    before = store.outbox.after("0", 10)
    redis, key = store.db.client, store.db.key
    found: Any = redis.xrange(key("events"))
    rows: list[Any] = [[each.decode(), text_map(fields)] for each, fields in found]
    redis.xtrim(key("events"), maxlen=0)
    ends: dict[Any, Any] = {
        "first": rows[0][0],
        "before": 0,
        "count": 2,
        "entries": pack(json.dumps(rows).encode()),
    }
    redis.xadd(key("past"), ends, id=rows[-1][0])
    assert store.outbox.after("0", 10) == before


def _walked(store: Store, count: int) -> list[str]:
    """The ids of all events, read page by page."""
    found, position = [], "0-0"
    while page := store.outbox.after(position, count):
        position = page[-1].stream_id
        found += [each.event.event_id for each in page]
    return found
