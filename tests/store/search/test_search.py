"""A search finds each job once whose JobId, user data, object or label begins with what is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from msgspec.structs import replace as with_fields

from app.ci.report import Input
from app.redis.cursors import BadCursor, encode_cursor
from app.store import Store
from app.store.reading.listing import Filter
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell
from tests.store.samples import submission

TEXTS = st.text(st.sampled_from(["a", "b", "A", "ä", "\0", "\n", "/"]), max_size=3)
USUAL = "j" + "0" * 31


@dataclass(frozen=True)
class JobReport:
    """A report of a job; ``labels`` are those of its submission."""

    user_data: str
    object: str
    state: str
    created_at: str
    labels: dict[str, str]


JOBS = st.lists(
    st.builds(
        JobReport,
        user_data=TEXTS,
        object=TEXTS,
        state=st.sampled_from(["Running", "Success"]),
        created_at=st.sampled_from(["2022-06-27T07:23:10Z", "2022-06-27T07:23:11Z"]),
        labels=st.dictionaries(st.sampled_from(["show", "team"]), TEXTS, max_size=2),
    ),
    max_size=14,
)


def put(store: Store, job_id: str, job: JobReport) -> None:
    bound: dict[str, Any] = {}
    if job.labels:
        store.submissions.create(replace(submission(f"s-{job_id}"), labels=job.labels))
        bound = {"submission": f"s-{job_id}"}
    tell(store, detail(job_id, job), **bound)


def detail(job_id: str, job: JobReport) -> Any:
    made = said(job_id, job.state, created_at=job.created_at, user_data=job.user_data or None)
    where = Input(bucket="demo-1250000000", region="ap-chongqing", object=job.object or None)
    return replace(made, report=with_fields(made.report, input=where))


def walk(store: Store, text: str, wanted: Filter | None = None, limit: int = 50) -> list[str]:
    found: list[str] = []
    cursor = None
    for _ in range(200):
        page = store.search.page(text, wanted or Filter(), limit, cursor)
        assert len(page.jobs) <= limit
        found += [job.job_id for job in page.jobs]
        if (cursor := page.next_cursor) is None:
            return found
    raise AssertionError("the pages do not end")


def ids(count: int) -> list[str]:
    """Ids of CI's form and others."""
    return [f"{USUAL}{n:x}" if n % 2 else f"a{n}" for n in range(count)]


def test_any_beginning_of_a_job_id_finds_it(store: Store) -> None:
    """Ids of CI's form are stored at half their length in the index; others are stored as they are."""
    made = [
        "j",
        "j0",
        f"j{'0' * 32}",
        f"j{'0' * 31}f",
        f"j0{'f' * 31}",
        f"j{'f' * 32}",
        f"k{'0' * 32}",
        f"j{'0' * 33}",
        "é",
    ]
    for job_id in made:
        tell(store, said(job_id, "Running"))
    for text in {job_id[:length] for job_id in made for length in range(1, len(job_id) + 1)} | {
        "J",
        "j0g",
        "jé",
    }:
        for limit in (1, 50):
            found = walk(store, text, limit=limit)
            assert sorted(found) == sorted(each for each in made if each.startswith(text)), (text, limit)


def matching(jobs: dict[str, JobReport], text: str, state: str | None) -> set[str]:
    return {
        job_id
        for job_id, job in jobs.items()
        if any(
            each.startswith(text)
            for each in (job_id, job.user_data, job.object, *job.labels.values())
            if each
        )
        and state in {None, job.state}
    }


SAME = JobReport(
    user_data="", object="", state="Running", created_at="2022-06-27T07:23:10Z", labels={"show": "A"}
)


@example([SAME] * 5, "A", None, 1)
@example([SAME] * 5, "A", None, 2)
@given(JOBS, TEXTS.filter(bool), st.sampled_from([None, "Running"]), st.integers(1, 5))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_job_is_found_once_whatever_the_size_of_the_pages(
    store: Store, jobs: list[JobReport], text: str, state: str | None, limit: int
) -> None:
    """By JobId, user data, object or label, with or without a filter, and by nothing else."""
    store.db.client.flushdb()
    by_id = dict(zip(ids(len(jobs)), jobs, strict=True))
    for job_id, job in by_id.items():
        put(store, job_id, job)
    wanted = Filter(equal=(("state", state),) if state else ())
    found = walk(store, text, wanted, limit)
    assert len(found) == len(set(found))
    assert set(found) == matching(by_id, text, state)
    assert walk(store, text, wanted) == found


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_jobs_of_one_value_come_newest_first(store: Store, count: int) -> None:
    """Over any number of pages, those of the same second too."""
    for n in range(12):
        tell(
            store,
            said(f"j{n:02}", "Success", created_at=f"2022-06-27T07:23:{n // 2:02}Z", user_data="batch 1"),
        )
    found = walk(store, "batch", limit=count)
    assert found == [f"j{n:02}" for n in reversed(range(12))]


def test_case_counts(store: Store) -> None:
    tell(store, said("j1", "Success", user_data="Order-1"))
    assert walk(store, "Order") == ["j1"]
    assert walk(store, "order") == []


def test_a_job_is_found_by_its_id_before_those_whose_data_names_it(store: Store) -> None:
    tell(store, said("j2", "Success", user_data="j1 again"))
    tell(store, said("j1", "Success"))
    assert walk(store, "j1") == ["j1", "j2"]


def test_the_value_that_a_job_had_before_finds_it_no_more(store: Store) -> None:
    """The sweep removes the old value once no job has it; a value that another job has stays."""
    tell(store, said("j1", "Submitted", user_data="first"))
    tell(store, said("j2", "Submitted", user_data="shared"))
    tell(store, said("j3", "Submitted", user_data="shared"))
    tell(store, said("j1", "Running", user_data="second"))
    tell(store, said("j2", "Running", user_data="second"))
    assert walk(store, "first") == []
    assert [walk(store, each) for each in ("second", "shared")] == [["j2", "j1"], ["j3"]]
    assert store.values.suggested("user_data", "", 9) == ["first", "second", "shared"]
    # A few at a time, and from the beginning again.
    assert sum(store.values.sweep(2) for _ in range(9)) == 1
    assert store.values.suggested("user_data", "", 9) == ["second", "shared"]


def test_nothing_is_left_to_find_of_jobs_that_are_removed(store: Store) -> None:
    store.submissions.create(replace(submission("s1"), labels={"show": "news"}))
    tell(store, said("j1", "Success", user_data="order"), submission="s1")
    store.retention.drop_job("j1")
    assert store.db.client.zrange(store.db.key("values"), 0, -1) == []
    tell(store, said("j1", "Success", user_data="order"))
    assert walk(store, "order") == ["j1"]
    store.retention.drop_jobs(-60, 100)
    assert store.db.client.zrange(store.db.key("values"), 0, -1) == []


def test_a_value_of_any_length_is_stored_and_one_beyond_those_of_ci_is_not_searched_for(store: Store) -> None:
    long = "x" * 1025
    tell(store, said("j1", "Success", user_data=long), said("j2", "Success", user_data=long[1:]))
    assert walk(store, "x") == ["j2"]
    assert [job.job_id for job in store.jobs.every(Filter(equal=(("user_data", long),)))] == ["j1"]
    assert broken_invariants(store) == []


@pytest.mark.parametrize("place", ["", "no newline", "j1\n", "j1\n?x"])
def test_a_cursor_that_was_not_made_here_is_refused(store: Store, place: str) -> None:
    with pytest.raises(BadCursor):
        store.search.page("x", Filter(), 5, encode_cursor((1, place)))


def test_a_page_looks_at_a_bounded_number_of_jobs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few of those that begin so match the other filters, a page is short and the next one goes on."""
    monkeypatch.setattr("app.store.search.search._LOOK_MAX", 4)
    for n in range(10):
        tell(store, said(f"j{n}", "Success" if n == 9 else "Running", user_data=f"order-{n}"))
    ended = Filter(equal=(("state", "Success"),))
    first = store.search.page("order", ended, 5)
    assert first.jobs == () and first.next_cursor
    assert walk(store, "order", ended, 5) == ["j9"]


def test_values_with_the_prefix_are_suggested_in_order(store: Store) -> None:
    def names(jobs: Sequence[tuple[str, str]]) -> None:
        for job_id, user_data in jobs:
            tell(store, said(job_id, "Success", user_data=user_data))

    names([("j1", "order-2"), ("j2", "order-1"), ("j3", "order-1"), ("j4", "other")])
    assert store.values.suggested("user_data", "ord", 9) == ["order-1", "order-2"]
    assert store.values.suggested("user_data", "o", 2) == ["order-1", "order-2"]
    assert store.values.suggested("bucket", "demo", 9) == ["demo-1250000000"]
