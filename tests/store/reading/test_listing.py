"""A walk through the pages of a list finds each job that matches once, newest first, whatever the pages' size."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.store import Store
from app.store.reading.listing import Filter
from tests.store.said import said, tell
from tests.store.samples import submission

TIMES = [f"2022-06-27T07:23:{second:02}Z" for second in (10, 11, 12)]
"""CI's times have seconds: many jobs are created at the same one."""
MS = 1_656_314_590_000
"""The first of these."""
JOBS = st.lists(
    st.tuples(st.sampled_from(TIMES), st.sampled_from(["Running", "Success"]), st.sampled_from("ab")),
    max_size=25,
)
BOUNDS = [
    Filter(),
    Filter(created_before=MS + 1000),
    Filter(created_after=MS + 1000),
    Filter(created_after=MS, created_before=MS),
]
FILTERS = [
    replace(bounds, equal=tuple((field, value) for field, value in (("state", state), ("tag", tag)) if value))
    for bounds, state, tag in product(BOUNDS, (None, "Running"), (None, "a", "unknown"))
]


def ids(count: int) -> list[str]:
    """Ids of CI's form and others: the store shortens the former to a first byte above all text."""
    return [f"{'jab'[n % 3]}{n:032x}" if n % 4 else f"j{n}" for n in range(count)]


def walk(store: Store, wanted: Filter, limit: int, cursor: str | None = None) -> list[str]:
    """The ids on all pages from ``cursor`` on."""
    found: list[str] = []
    for _ in range(50):
        page = store.jobs.page(wanted, limit, cursor)
        assert len(page.jobs) <= limit
        found += [job.job_id for job in page.jobs]
        if (cursor := page.next_cursor) is None:
            return found
    raise AssertionError("the pages do not end")


@given(JOBS, st.sampled_from(FILTERS), st.integers(1, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_walk_finds_each_job_once(
    store: Store, jobs: list[tuple[str, str, str]], wanted: Filter, limit: int
) -> None:
    store.db.client.flushdb()
    for job_id, (created_at, state, tag) in zip(ids(len(jobs)), jobs, strict=True):
        tell(store, said(job_id, state, created_at=created_at, tag=tag))
    found = walk(store, wanted, limit)
    shown = [job for job_id in found if (job := store.jobs.get(job_id))]
    assert [job.created_at for job in shown] == sorted((job.created_at or "" for job in shown), reverse=True)
    assert len(found) == len(set(found))
    equal, after, before = dict(wanted.equal), wanted.created_after, wanted.created_before
    assert set(found) == {
        job_id
        for job_id, (created_at, state, tag) in zip(ids(len(jobs)), jobs, strict=True)
        if equal.get("state", state) == state and equal.get("tag", tag) == tag
        and (after or 0) <= MS + 1000 * TIMES.index(created_at) <= (before or MS * 2)
    }  # fmt: skip
    assert walk(store, wanted, 200) == found


@given(st.integers(0, 11), st.integers(1, 5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_goes_on_where_its_last_job_has_gone(store: Store, at: int, limit: int) -> None:
    """All were created at the same time, and the one that the cursor names has left the index since, or the store."""
    store.db.client.flushdb()
    running = Filter(equal=(("state", "Running"),))
    for job_id in ids(12):
        tell(store, said(job_id, "Running"))
    everything = walk(store, running, 200)
    cursor = store.jobs.page(running, at + 1).next_cursor
    tell(store, said(everything[at], "Success", "2022-06-27T07:23:30Z"))
    assert walk(store, running, limit, cursor) == everything[at + 1 :]
    store.retention.drop_job(everything[at])
    assert walk(store, running, limit, cursor) == everything[at + 1 :]


@pytest.mark.parametrize("is_overdue", [True, False])
def test_a_filter_without_an_index_is_searched_page_by_page(store: Store, is_overdue: bool) -> None:
    for number, job_id in enumerate(ids(30)):
        store.submissions.create(submission(f"s{number}"))
        tell(store, said(job_id, "Running"), source="submit", submission=f"s{number}", binds=True)
        store.due.count(job_id, -1 if number % 3 else 3600)
    expected = {job_id for number, job_id in enumerate(ids(30)) if bool(number % 3) == is_overdue}
    found = walk(store, Filter(overdue=is_overdue), 4)
    assert (set(found), len(found)) == (expected, len(expected))


def test_a_page_looks_at_a_bounded_number_of_entries(store: Store) -> None:
    """Where few match, a page is short and says where to go on."""
    for job_id in ids(30):
        tell(store, said(job_id, "Running"))
    wanted = Filter(equal=(("state", "Running"), ("tag", "VoiceSeparate")), overdue=True)
    listing = store.jobs._listing
    assert walk(store, wanted, 3) == []
    rows = listing._ask("", wanted, 3, None, 7)
    assert rows[1:3] == [7, 0]
