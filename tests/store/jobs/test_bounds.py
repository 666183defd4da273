"""What one job, one body and one installation may hold; and that refused news changes nothing."""

from __future__ import annotations

import random

import pytest

from app.core.clock import now_ms
from app.redis.scripts import decoded_all
from app.store import Store, Unavailable
from app.store.accept.acceptor import Acceptor
from app.store.accept.news import Limits
from app.store.jobs.index import names
from app.store.keys import KINDS
from tests.store.invariants import broken_invariants
from tests.store.news import EARLY, create_submission
from tests.store.said import said, tell


def test_a_history_is_capped_and_still_ends_with_what_changed_the_job(store: Store) -> None:
    """Past the cap entries are only counted, but one that changes the job replaces the last entry."""
    capped = Acceptor(store.db, Limits(history=5), store.durable)
    tell(capped, said("j1", "Running"))
    for _ in range(20):
        tell(capped, said("j1", "Running"))
    tell(capped, said("j1", "Success", EARLY))
    tell(capped, said("j1", "Success", EARLY))
    entries, count = store.jobs.history("j1")
    assert (len(entries), count) == (5, 23)
    assert (entries[-1]["state"], entries[-1]["entry"]) == ("Success", 22)
    assert store.jobs.raw_bytes("j1", 22) is not None
    assert len(list(store.db.client.scan_iter(store.db.key("body", "*")))) == 2


def test_a_body_is_stored_once_for_all_its_jobs(store: Store) -> None:
    """A hundred jobs of one body share it, and so does one job a hundred times."""
    body = b"{" + bytes(random.Random(1).choices(range(32, 127), k=200_000)) + b"}"
    for jobs in (["j1"] * 100, [f"j{n}" for n in range(100)]):
        tell(store, *(said(each, "Running", progress=n) for n, each in enumerate(jobs)), body=body)
    (kept,) = store.db.client.scan_iter(store.db.key("body", "*"))
    assert store.db.client.strlen(kept) < 200_000
    assert store.jobs.raw_bytes("j7", 1) == store.jobs.raw_bytes("j1", 50) == body
    redis = store.db.client
    sizes = [int(redis.memory_usage(each) or 0) for each in redis.scan_iter(f"{store.db.prefix}*")]
    assert sum(sizes) < 1_000_000


def test_the_exact_bytes_expire_by_themselves(store: Store) -> None:
    """A body's key expires after RETENTION_RAW."""
    short = Acceptor(store.db, Limits(raw_s=60), store.durable)
    tell(short, said("j1", "Running"))
    (kept,) = store.db.client.scan_iter(store.db.key("body", "*"))
    assert 0 < store.db.client.pttl(kept) <= 60_000


def test_exact_bytes_that_come_again_expire_later(store: Store) -> None:
    """RETENTION_RAW counts from the last time that they were received: as a duplicate, or as the body of another
    job."""
    short, redis = Acceptor(store.db, Limits(raw_s=60), store.durable), store.db.client
    tell(short, said("j1", "Running"), body=b"the body")
    (kept,) = redis.scan_iter(store.db.key("body", "*"))
    for job_id, outcome in (("j1", "duplicate"), ("j2", "accepted")):
        redis.pexpire(kept, 30_000)
        assert tell(short, said(job_id, "Running"), body=b"the body") == [outcome]
        assert 30_000 < redis.pttl(kept) <= 60_000
    assert list(redis.scan_iter(store.db.key("body", "*"))) == [kept]
    assert store.jobs.raw_bytes("j1", 1) == store.jobs.raw_bytes("j2", 1) == b"the body"


@pytest.mark.parametrize("kind", ["job", "record", "index", "due", "jobs", "touched", "events", "claims"])
def test_a_key_of_another_type_stops_the_script_before_its_first_write(store: Store, kind: str) -> None:
    """If one of our keys holds a value of another type, the script fails and has changed nothing."""
    create_submission(store, "s1")
    detail = said("j1", "Running")
    each = {"index": names(detail.report)[-1], "claims": "s1"}.get(kind, "j1")
    broken = store.db.key(kind) if KINDS[kind] != "stream" and kind in {"due", "jobs", "touched"} else None
    broken = broken or (store.db.key(kind) if kind == "events" else store.db.key(kind, each))
    store.db.client.delete(broken)
    store.db.client.set(broken, "not ours")
    before = {key: store.db.client.dump(key) for key in store.db.client.scan_iter(f"{store.db.prefix}*")}
    with pytest.raises(Unavailable):
        tell(store, detail, submission="s1")
    assert before == {
        key: store.db.client.dump(key) for key in store.db.client.scan_iter(f"{store.db.prefix}*")
    }


@pytest.mark.parametrize("suffix", [f":{kind}" for kind in KINDS] + [":runs:", ":", "|"])
def test_a_job_id_that_looks_like_a_key_is_a_job_like_any_other(store: Store, suffix: str) -> None:
    """Neither that job nor the job whose key it resembles is changed by the other."""
    for job_id in (f"J{suffix}", "J", f"history{suffix}"):
        assert tell(store, said(job_id, "Success", EARLY)) == ["accepted"]
        event = [posted.event for posted in store.outbox.after("0", 10)][-1]
        assert store.runs.plan([(event, [("h", None)])]) == 1
    for job_id in (f"J{suffix}", "J", f"history{suffix}"):
        assert store.jobs.history(job_id)[1] == len(store.runs.of_job(job_id)) == 1
    assert not broken_invariants(store)


def test_a_full_outbox_takes_no_news_but_knows_duplicates(store: Store) -> None:
    """Past OUTBOX_MAX nothing is accepted that needs an event; what needs none is still answered."""
    tiny = Acceptor(store.db, Limits(outbox=2), store.durable)
    tell(tiny, said("j1", "Running"))
    tell(tiny, said("j2", "Running"))
    with pytest.raises(Unavailable, match="OUTBOX_MAX"):
        tell(tiny, said("j3", "Running"))
    assert tell(tiny, said("j1", "Running")) == ["duplicate"]
    assert store.jobs.get("j3") is None


def test_the_number_of_jobs_is_capped(store: Store) -> None:
    """Past JOBS_MAX callbacks of unknown jobs are refused; known jobs and our own submissions are accepted."""
    tiny = Acceptor(store.db, Limits(jobs=1), store.durable)
    tell(tiny, said("j1", "Running"))
    with pytest.raises(Unavailable, match="JOBS_MAX"):
        tell(tiny, said("j2", "Running"))
    assert tell(tiny, said("j2", "Submitted"), source="submit") == ["accepted"]
    assert tell(tiny, said("j1", "Success", EARLY)) == ["accepted"]


def test_contents_past_the_history_are_not_remembered(store: Store) -> None:
    """The marks by which duplicates are recognized are capped too."""
    capped = Acceptor(store.db, Limits(history=5), store.durable)
    for n in range(50):
        tell(capped, said("j1", "Success", EARLY), said("j1", "Running", message=f"text {n}"))
    fields = decoded_all(store.db.client.hkeys(store.db.key("job", "j1")))
    marks = [each for each in fields if each.startswith("d:")]
    assert len(marks) <= 5


def test_news_is_stamped_with_its_own_time(store: Store) -> None:
    """What was spooled says when it came, not when it was drained."""
    tell(store, said("j1", "Running"), received_ms=now_ms() - 3_600_000)
    entries, _ = store.jobs.history("j1")
    job = store.jobs.get("j1")
    assert job is not None
    assert entries[0]["at"] < job.updated_at
