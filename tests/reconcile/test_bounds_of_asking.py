"""For every cause, CI is asked only about known buckets, a few times a second, and for a limited time."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from msgspec.structs import replace

from app import reconcile
from app.core.clock import now_ms, rfc3339
from app.doctor.ci import strange_buckets
from app.reconcile import due_jobs, floods
from app.reconcile.describe import accept_answer
from app.reconcile.places import by_place
from app.redis.scripts import text_map
from app.services import Services
from app.settings.types import KnownBucket
from harness.servers import Emulator
from tests.store.said import said, tell
from tests.workers.relay.asking import Relay, asked, end_at_ci, job_of, submit

DAY_MS = 86_400_000


def placed(job_id: str, bucket: str, state: str | None = None, region: str = "ap-evil") -> Any:
    """A callback's report of a job, with the bucket and region that it names."""
    detail = said(job_id, state)
    assert detail.report.input
    elsewhere = replace(detail.report.input, bucket=bucket, region=region)
    return type(detail)(report=replace(detail.report, input=elsewhere), raw=detail.raw)


def questions(ci: Emulator) -> list[dict[str, Any]]:
    answer = requests.get(f"{ci.url}/_emulator/requests", params={"endpoint": "describe"}, timeout=60)
    found: list[dict[str, Any]] = answer.json()["requests"]
    return found


def fields(services: Services, job_id: str) -> dict[str, str]:
    return text_map(services.store.db.client.hgetall(services.store.db.key("job", job_id)))


def doubt(services: Services, job_id: str, since_ms: int) -> None:
    """Mark the job as in doubt since then, and schedule a question to CI."""
    reported = {"state": "Failed", "code": None, "ended_at": None}
    value = {
        "reason": "states_differ",
        "since": rfc3339(since_ms),
        "reported": reported,
        "asked_at": None,
        "digest": "0",
    }
    key = services.store.db.key("job", job_id)
    services.store.db.client.hset(key, mapping={"doubt": json.dumps(value), "question": 1})
    services.store.due.ask(job_id)


def with_settings(services: Services, **changes: Any) -> Services:
    return Services.open(services.settings.model_copy(update=changes), timeout=5)


# ── where ───────────────────────────────────────────────────────────────────


def test_a_bucket_that_only_a_callback_named_is_never_asked(
    ours: Services, ci: Emulator, relay: Relay
) -> None:
    """100 unknown jobs without a state, each with its own bucket: CI is not asked, and the schedule is empty
    afterwards."""
    for n in range(100):
        tell(ours.store, placed(f"jx{n}", f"x{n}-1250000000"))
    assert ours.store.due.size() == 100
    relay.ask()
    relay.ask()
    assert asked(ci, "describe") == 0
    assert ours.store.due.size() == 0
    why = reconcile.reason_not_askable(ours, job_of(ours, "jx7"))
    assert why is not None and "x7-1250000000" in why and "COS_BUCKETS" in why
    (finding,) = strange_buckets(ours)
    assert finding.level == "warn" and "x99-1250000000" in finding.said and "COS_BUCKETS" in finding.todo


@pytest.mark.parametrize(
    ("how", "place"),
    [
        ("COS_BUCKET", ("demo-1250000000", "ap-chongqing")),
        ("COS_BUCKETS", ("more-1250000000", "ap-chongqing")),
        ("COS_BUCKETS with a region", ("far-1250000000", "ap-beijing")),
        ("a token", ("named-1250000000", "ap-beijing")),
        ("a token without a region", ("named-1250000000", "ap-chongqing")),
        ("CI's own answer", ("answered-1250000000", "ap-beijing")),
    ],
)
def test_a_known_bucket_is_asked(ours: Services, how: str, place: tuple[str, str]) -> None:
    """Known from the settings, a token, or CI itself; the region is never the callback's if the bucket is ours."""
    more = (KnownBucket("more-1250000000"), KnownBucket.parse("far-1250000000:ap-beijing"))
    ours = with_settings(ours, cos_buckets=more)
    tell(ours.store, placed("j1", place[0]))
    key = ours.store.db.key("job", "j1")
    if how.startswith("a token"):
        ours.store.db.client.hset(
            key, "place", json.dumps([place[0], None if "without" in how else place[1]])
        )
    if how.startswith("CI"):
        ours.store.due.note_place(["j1"], place)
    assert list(by_place(ours, [job_of(ours, "j1")])) == [place]


def test_where_ci_has_answered_is_remembered(ours: Services, ci: Emulator, relay: Relay) -> None:
    """A job that CI's answer named can be asked about, whatever bucket a later callback names."""
    _, (job_id,) = submit(ours, callback="no")
    relay.ask()
    ours.store.db.client.hdel(ours.store.db.key("job", job_id), "submission")
    tell(ours.store, placed(job_id, "evil-1250000000", "Success"))
    assert list(by_place(ours, [job_of(ours, job_id)])) == [("demo-1250000000", "ap-chongqing")]


# ── how often ───────────────────────────────────────────────────────────────


def test_all_relays_together_ask_ten_times_a_second(ours: Services, ci: Emulator) -> None:
    """500 jobs in 25 buckets and two relays: at most ten questions a second on average."""
    names = [f"b{n}-1250000000" for n in range(25)]
    both = [with_settings(ours, cos_buckets=tuple(map(KnownBucket, names))) for _ in range(2)]
    for n in range(500):
        tell(ours.store, placed(f"j{n}", names[n % 25]))
    stopping = threading.Event()
    stopping.set()

    def run(services: Services) -> None:
        for _ in range(4):
            due_jobs.step(services, stopping)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, both))
    moments = sorted(each["at"] for each in questions(ci))
    assert len(moments) > 30, "several questions a second were wanted"
    for n in range(len(moments) - 30):
        # 31 questions are 30 pauses of 0.1 s; what one process does late, it does closer to the next one.
        assert moments[n + 30] - moments[n] > 2.0
    assert (moments[-1] - moments[0]) * 10 > (len(moments) - 1) * 0.9


def test_the_turns_of_all_processes_are_apart(ours: Services) -> None:
    """One schedule in Redis: turns requested at once are 100 ms apart; one later than the given wait is not
    granted."""
    other = with_settings(ours)
    began = time.monotonic()
    waits = [each.store.due.turn(60) for each in (ours, other) * 10]
    assert all(wait is not None for wait in waits)
    last = waits[-1] or 0
    assert last <= 1.9
    assert time.monotonic() - began + last > 1.8, "the last turn comes 1.9 s after the first"
    for _ in range(200):  # the next free turn is far away, however slow this machine is
        ours.store.due.turn(60)
    assert ours.store.due.turn(0.05) is None


def test_a_bad_id_among_fifty_is_found_in_few_questions(ours: Services, ci: Emulator, relay: Relay) -> None:
    """By halving, instead of one question for each job."""
    for n in range(49):
        tell(ours.store, said(f"j{n}", "Running"))
    tell(ours.store, said("j,odd", "Running"), source="submit", submission="s1", ask_after=1.0)
    relay.ask()
    assert 1 <= asked(ci, "describe") <= 12
    assert ours.store.due.asked("j,odd") == ours.store.due.asked("j7") == 1


# ── how long ────────────────────────────────────────────────────────────────


def test_asking_is_given_up_after_retention_jobs(ours: Services, ci: Emulator, relay: Relay) -> None:
    """A job that never ends leaves the schedule then; before, CI is asked about it."""
    tell(ours.store, said("j1", "Running"))
    relay.ask()
    assert ours.store.due.size() == 1
    key = ours.store.db.key("job", "j1")
    ours.store.db.client.hset(
        key, "asked_since", now_ms() - int(ours.settings.retention_jobs * 1000) - DAY_MS
    )
    relay.ask()
    assert ours.store.due.size() == 0
    assert asked(ci, "describe") == 1


def test_a_doubt_shows_when_ci_was_asked(ours: Services, relay: Relay) -> None:
    """The question sets ``asked_at``; a job without a doubt has none."""
    tell(ours.store, said("j1", "Success"), said("j2", "Running"))
    doubt(ours, "j1", now_ms())
    relay.ask()
    assert json.loads(fields(ours, "j1")["doubt"])["asked_at"] is not None
    assert json.loads(fields(ours, "j1")["doubt"])["reason"] == "states_differ"
    assert "doubt" not in fields(ours, "j2")


@pytest.mark.parametrize("trouble", ["CI does not know it", "SEARCH_FOR is over", "CI cannot be asked"])
def test_a_doubt_that_ci_does_not_settle_stays(
    ours: Services, ci: Emulator, relay: Relay, trouble: str
) -> None:
    """CI is no longer asked, and an operator sees the doubt."""
    bucket = "strange-1250000000" if "cannot" in trouble else "demo-1250000000"
    tell(ours.store, placed("j1", bucket, "Success"))
    doubt(ours, "j1", now_ms())
    if "over" in trouble:
        relay.ask()
        doubt(ours, "j1", now_ms() - int(ours.settings.search_for * 1000) - 1000)
    for _ in range(10):
        relay.ask()
    assert ours.store.due.size() == 0
    kept = fields(ours, "j1")
    assert "doubt" in kept and "question" not in kept
    assert asked(ci, "describe") == {"CI does not know it": 9, "SEARCH_FOR is over": 1}.get(trouble, 0)


def test_an_old_doubt_is_asked_about_once_at_least(ours: Services, ci: Emulator, relay: Relay) -> None:
    """The relay may have been away for longer than SEARCH_FOR."""
    tell(ours.store, said("j1", "Success"))
    doubt(ours, "j1", now_ms() - 30 * DAY_MS)
    relay.ask()
    assert asked(ci, "describe") == 1


def test_an_unknown_state_of_ci_is_asked_about_again(ours: Services, relay: Relay) -> None:
    """It is stored, and is not terminal."""
    _, (job_id,) = submit(ours, callback="no")
    answer = said(job_id, "Dreaming")
    assert accept_answer(ours, answer, now_ms()) == "accepted"
    job = job_of(ours, job_id)
    assert (job.state, job.terminal) == ("Dreaming", False)
    assert ours.store.due.size() == 1
    assert ours.store.due.asked(job_id) == 1


# ── after a flood ───────────────────────────────────────────────────────────


def test_ci_list_is_read_when_a_flood_has_ended(ours: Services, ci: Emulator) -> None:
    """Jobs whose callbacks were refused are imported from CI's list, once; not before the flood is over."""
    _, (job_id,) = submit(ours, callback="no")
    end_at_ci(ci, job_id)
    redis, db = ours.store.db.client, ours.store.db
    redis.delete(db.key("job", job_id))
    redis.hset(db.key("url", "feedfacecafe"), "flood_since", now_ms() - 1000)
    redis.zadd(db.key("flooded"), {"feedfacecafe": now_ms() + 60_000})
    stopping = threading.Event()
    stopping.set()
    floods.step(ours, stopping)
    assert asked(ci, "list") == 0
    redis.zadd(db.key("flooded"), {"feedfacecafe": now_ms() - 1})
    for _ in range(3):
        floods.step(ours, stopping)
    assert asked(ci, "list") == 1
    assert job_of(ours, job_id).state == "Success"
    assert not redis.zcard(db.key("flooded"))


def test_a_flood_that_begins_again_while_the_list_is_read_stays(ours: Services) -> None:
    """CI's list is read again for it, when it has ended."""
    redis, key = ours.store.db.client, ours.store.db.key("flooded")
    redis.zadd(key, {"feedfacecafe": now_ms() - 1})
    flood = ours.store.floods.take(60)
    assert flood is not None
    redis.zadd(key, {"feedfacecafe": now_ms() + 30_000})
    ours.store.floods.done(flood)
    assert redis.zcard(key) == 1
