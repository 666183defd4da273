"""What was shown of a job is shown again only while nothing of it has changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.clock import now_ms, rfc3339
from app.redis.scripts import decoded
from app.services import Services
from app.settings import Settings
from app.store import Store
from app.store.jobs.jobs import Jobs
from app.store.reading.job import Job
from app.store.reading.listing import Filter
from app.store.reading.shown import Kept, Shown
from app.store.reading.stored import Stored
from app.web.describe import text_of
from tests.store.said import said, tell
from tests.store.samples import submission

FIELDS = (
    "submission", "verification", "source", "version", "updated", "raw", "deadline", "rank", "check", "doubt",
    "outputs_unasked",
)  # fmt: skip
"""Of a job's hash: what its record shows comes from these."""

STATES = ["Submitted", "Running", "Success", "Failed"]
STEPS = st.one_of(
    st.tuples(st.just("tell"), st.sampled_from(STATES), st.sampled_from(["callback", "poll"])),
    st.tuples(st.just("settle"), st.sampled_from(["known", "reported"]), st.none()),
    st.tuples(st.just("forget body"), st.none(), st.none()),
    st.tuples(st.just("bind"), st.sampled_from(["s1", "s2"]), st.none()),
    st.tuples(st.just("deadline"), st.sampled_from([-1000, 10**7]), st.none()),
)


def take(store: Store, step: tuple[str, Any, Any]) -> None:
    """Whatever changes what is stored of ``j1``; with ``deadline`` the clock passes it, or it is moved."""
    redis, job = store.db.client, store.db.key("job", "j1")
    what, one, other = step
    if what == "tell":
        tell(store, said("j1", one, "2022-06-27T07:23:30Z"), source=other)
    elif what == "settle":
        store.doubts.settle("j1", one, "somebody")
    elif what == "forget body":
        name, _, _ = (decoded(redis.hget(job, "raw")) or "").partition(":")
        redis.delete(store.db.key("body", name))
    elif what == "bind":
        redis.hset(store.db.key("submission", one), mapping={"submitted_at": one, "callback": "own"})
        redis.hset(job, "submission", one)
    else:
        redis.hset(job, "deadline", rfc3339(now_ms() + one))


@given(st.lists(STEPS, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_kept_is_never_out_of_date(
    settings: Settings, store: Store, steps: list[tuple[str, Any, Any]]
) -> None:
    """After each change, alone and in a list: what a process shows that has shown the job before is, byte for byte,
    what is made anew; and another record has another ETag."""
    store.db.client.flushdb()
    tell(store, said("j1", "Submitted"))
    known = Services.open(settings, timeout=5).store.jobs
    records: dict[str, bytes] = {}
    for step in [("deadline", 10**7, None), *steps]:
        take(store, step)
        fresh = store.jobs.get("j1")
        assert fresh is not None
        stored = known.stored("j1")
        assert stored is not None
        assert known.shown("j1", stored).text == text_of(fresh).encode()
        assert known.page_json(Filter(), 5) == text_of(store.jobs.page(Filter(), 5)).encode()
        assert records.setdefault(known.etag(stored), text_of(fresh).encode()) == text_of(fresh).encode()


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_that_is_read_changes_the_etag(store: Store, field: str) -> None:
    tell(store, said("j1", "Running"))
    before = store.jobs.stored("j1")
    store.db.client.hset(store.db.key("job", "j1"), field, "7")
    after = store.jobs.stored("j1")
    assert before and after and store.jobs.etag(before) != store.jobs.etag(after)


def test_a_trusted_bucket_changes_the_etag(store: Store) -> None:
    """The setting decides whether outputs are linked, and the store does not know it."""
    tell(store, said("j1", "Running"))
    stored = store.jobs.stored("j1")
    assert stored
    assert Jobs(store.db, frozenset({"ours-1250000000"})).etag(stored) != store.jobs.etag(stored)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 4000)), max_size=40))
def test_what_is_kept_stays_within_its_bytes(put: list[tuple[str, int]]) -> None:
    """The latest stays unless it alone is too large; sizes add up whatever is replaced."""
    kept = Kept(12_000)
    for name, size in put:
        stored = Stored((b"x" * size,), b"r", (), None, False, False)
        shown = Shown(b"y" * size, {}, False, False)
        kept.put(name, stored, shown)
        assert kept.size <= 12_000
        assert kept.find(name, stored) is (shown if 2 * size + 3_001 <= 12_000 else None)
        assert kept.find(name, stored._replace(late=True)) is None


def test_a_list_says_what_the_record_says_of_silence(store: Store) -> None:
    """``overdue`` follows the clock, without any change of the job."""
    late = submission("s1")
    store.db.client.hset(
        store.db.key("submission", late.id), mapping={"submitted_at": late.submitted_at, "callback": "own"}
    )
    tell(store, said("j1", "Running"))
    job = store.db.key("job", "j1")
    store.db.client.hset(job, mapping={"submission": "s1", "deadline": rfc3339(now_ms() + 10**7)})
    stored = store.jobs.stored("j1")
    assert stored
    shown = Job.model_validate_json(store.jobs.shown("j1", stored._replace(late=True)).text)
    assert shown.submission and shown.submission.overdue
    assert not json.loads(store.jobs.shown("j1", stored).text)["submission"]["overdue"]
