"""The cached document of a job is used only while nothing of the job has changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ci.report import Detail, Output
from app.core.clock import now_ms, rfc3339
from app.redis.scripts import decoded
from app.services import Services
from app.settings import Settings
from app.store import NotBelieved, Store
from app.store.jobs.jobs import Jobs
from app.store.reading.job import Job
from app.store.reading.listing import Filter
from app.store.reading.shown import Kept, Shown
from app.store.reading.stored import Stored
from app.web.describe import text_of
from harness.servers import ROOT
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
    st.tuples(st.just("claim"), st.sampled_from(["s1", "s2"]), st.sampled_from(STATES)),
    st.tuples(st.just("answer"), st.sampled_from(["s1", "s2"]), st.sampled_from(["j1", "j2"])),
    st.tuples(st.just("settle"), st.sampled_from(["known", "reported"]), st.none()),
    st.tuples(st.just("forget body"), st.none(), st.none()),
    st.tuples(st.just("count"), st.sampled_from([-1, 10**4]), st.none()),
    st.tuples(st.just("ask"), st.none(), st.none()),
    st.tuples(st.just("end"), st.sampled_from(["not_askable", "unknown_to_ci", None]), st.none()),
    st.tuples(st.just("check"), st.booleans(), st.none()),
    st.tuples(st.just("replay"), st.none(), st.none()),
    st.tuples(st.just("drop"), st.none(), st.none()),
)


def claim(store: Store, submission: str, state: str) -> None:
    with suppress(NotBelieved):
        tell(store, with_output("j1", state), submission=submission)


def forget_body(store: Store) -> None:
    name, _, _ = (decoded(store.db.client.hget(store.db.key("job", "j1"), "raw")) or "").partition(":")
    store.db.client.delete(store.db.key("body", name))


def check(store: Store, ok: bool) -> None:
    if job := store.jobs.get("j1"):
        store.checks.note(job.report, {}, ok=ok)


CHANGES: dict[str, Callable[..., object]] = {
    "tell": lambda store, state, source: tell(store, with_output("j1", state), source=source),
    "claim": claim,
    "answer": lambda store, asked, job_id: tell(
        store, with_output(job_id, "Submitted"), source="submit", submission=asked, binds=True
    ),
    "settle": lambda store, choice, _: store.doubts.settle("j1", choice, "an-operator"),
    "forget body": lambda store, *_: forget_body(store),
    "count": lambda store, in_s, _: store.due.count("j1", in_s),
    "ask": lambda store, *_: store.due.note_asked(["j1"]),
    "end": lambda store, why, _: store.due.end("j1", why),
    "check": lambda store, ok, _: check(store, ok),
    "replay": lambda store, *_: store.replays.replay("j1", "an-operator"),
    "drop": lambda store, *_: store.retention.drop_job("j1"),
}
"""Whatever changes what is stored of ``j1``; with ``count`` its deadline is moved, or has passed."""


def with_output(job_id: str, state: str) -> Detail:
    """An output that only a callback names, until CI's own answer does."""
    made = Output(bucket="theirs-1250000000", region="ap-chongqing", object="out/vocals.mp3")
    return said(
        job_id, state, "2022-06-27T07:23:30Z" if state in {"Success", "Failed"} else None, outputs=(made,)
    )


@given(st.lists(STEPS, max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cached_document_is_never_out_of_date(
    settings: Settings, store: Store, steps: list[tuple[str, Any, Any]]
) -> None:
    """After each change, alone and in a list, a process with a cached document answers byte for byte as one without;
    another record has another ETag."""
    store.db.client.flushdb()
    for each in ("s1", "s2"):
        store.submissions.create(submission(each))
    tell(store, said("j1", "Submitted"))
    known = Services.open(settings, timeout=5).store.jobs
    records: dict[str, bytes] = {}
    for step in [("count", 10**4, None), *steps]:
        CHANGES[step[0]](store, *step[1:])
        reopened = Services.open(settings, timeout=5).store.jobs
        assert known.page_json(Filter(), 5) == reopened.page_json(Filter(), 5)
        assert known.page_json(Filter(), 5)[1] == text_of(reopened.page(Filter(), 5)).encode()
        fresh, stored = reopened.get("j1"), known.stored("j1")
        assert (fresh is None) == (stored is None)
        if fresh is None or stored is None:
            continue
        assert known.shown("j1", stored).text == text_of(fresh).encode()
        assert records.setdefault(known.etag(stored), text_of(fresh).encode()) == text_of(fresh).encode()


WRITES = re.compile(r"redis\.call\('(?:HSET|HSETNX|HDEL|HINCRBY)',[^\n]*(?:\n    [^\n]*)*")
NAMED = re.compile("|".join(f"'{field}'" for field in FIELDS))
UNSTAMPED = {
    "migrate_job.lua": "no process of this release serves before a migration",
    "plan.lua": "what it writes by such a name is in the hash of an event",
}


def test_each_script_that_writes_what_is_shown_stamps_the_job() -> None:
    """A list shows a job as it was while its stamp is the same: a script without one would leave it out of date."""
    scripts = {path.name: path.read_text() for path in (ROOT / "app").rglob("*.lua")}
    writers = {name: text for name, text in scripts.items() if any(map(NAMED.search, WRITES.findall(text)))}
    assert len(writers) > 6
    assert [n for n, text in writers.items() if n not in UNSTAMPED and "stamp(" not in text] == []
    write = writers["accept.lua"].partition("local function write(")[2].partition("\nend")[0]
    assert "\n  stamp(prefix, item.member" in write


def test_no_code_but_a_script_writes_what_is_shown() -> None:
    written = re.compile(r"hset\([^)]*\bjob\b[^)]*\b(" + "|".join(FIELDS) + r")\b")
    assert [str(path) for path in (ROOT / "app").rglob("*.py") if written.search(path.read_text())] == []


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
def test_the_cache_stays_within_its_bytes(put: list[tuple[str, int]]) -> None:
    """The latest stays unless it alone is too large; sizes add up whatever is replaced."""
    kept = Kept[str, Stored, Shown](12_000)
    for name, size in put:
        stored = Stored((b"x" * size,), b"r", (), None, False, False)
        shown = Shown(b"y" * size, {}, False, False, 0, 0)
        kept.put(name, stored, shown, stored.size + size)
        assert kept.size <= 12_000
        assert kept.find(name, stored) is (shown if 2 * size + 3_001 <= 12_000 else None)
        assert kept.find(name, stored._replace(late=True)) is None


def test_overdue_is_the_same_in_a_list_and_in_the_record(store: Store) -> None:
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
