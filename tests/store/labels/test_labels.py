"""A job has the labels of its submission: in its record, its events and the indexes by which it is listed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from app.store import Job, Store
from app.store.reading.listing import Filter
from app.store.runs.run import End, Start, run_id
from app.store.submissions.submissions import Submission
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell
from tests.store.samples import submission

LABELS = {"show": "news", "team.audio_1-x": "ü & = 7"}


def labelled(store: Store, labels: dict[str, str] = LABELS, name: str = "s1") -> Submission:
    made = replace(submission(name), labels=labels)
    store.submissions.create(made)
    return made


def listed(store: Store, **labels: str) -> list[str]:
    wanted = Filter(equal=tuple((f"label.{name}", value) for name, value in labels.items()))
    return [job.job_id for job in store.jobs.every(wanted)]


def indexes(store: Store) -> set[bytes]:
    return set(store.db.client.scan_iter(store.db.key("index", "l:*")))


def known(store: Store, job_id: str) -> Job:
    job = store.jobs.get(job_id)
    assert job is not None
    return job


WAYS: dict[str, Callable[[Store], Any]] = {
    "CI's answer": lambda store: tell(store, said("j1", "Submitted"), source="submit", submission="s1"),
    "its callback": lambda store: tell(store, said("j1", "Success"), submission="s1"),
    "the answer to a search": lambda store: tell(
        store, said("j1", "Running"), source="poll", submission="s1", binds=True
    ),
}


@pytest.mark.parametrize("order", list(permutations(WAYS)), ids=", ".join)
def test_whichever_comes_first_binds_the_labels(store: Store, order: tuple[str, ...]) -> None:
    """The job and each of its events have the labels from its first report on."""
    labelled(store)
    for way in order:
        WAYS[way](store)
        assert known(store, "j1").labels == LABELS
        assert listed(store, show="news") == ["j1"]
        assert broken_invariants(store) == []
    assert listed(store, **LABELS) == ["j1"]
    events = [each.event for each in store.outbox.after("0-0", 100)]
    assert events and all(each.labels == LABELS for each in events)


def test_a_value_is_matched_exactly(store: Store) -> None:
    """Not by its beginning, its case, another label's value, or a name that continues in the value."""
    labelled(store, {"a": "b", "empty": ""})
    WAYS["its callback"](store)
    assert listed(store, a="b") == listed(store, empty="") == listed(store, a="b", empty="") == ["j1"]
    for name, value in (("a", "B"), ("a", "b "), ("a", ""), ("empty", "b"), ("b", "a"), ("a.b", "")):
        assert listed(store, **{name: value}) == []
    assert listed(store, a="b", empty="x") == []


def test_jobs_without_labels_stand_in_no_index(store: Store) -> None:
    """Neither those of a submission without any, nor those that were not submitted here."""
    store.submissions.create(submission("s1"))
    WAYS["its callback"](store)
    tell(store, said("j2", "Success"))
    assert (known(store, "j1").labels, known(store, "j2").labels) == ({}, {})
    assert indexes(store) == set()
    assert store.db.client.hexists(store.db.key("job", "j1"), "labels") == 0
    assert all(each.event.labels == {} for each in store.outbox.after("0-0", 10))


def test_a_job_that_was_claimed_wrongly_loses_the_labels(store: Store) -> None:
    """A callback claims one job for the submission, and CI's answer names another."""
    labelled(store)
    tell(store, said("jwrong", "Running"), submission="s1")
    assert listed(store, show="news") == ["jwrong"]
    tell(store, said("j1", "Submitted"), source="submit", submission="s1")
    assert listed(store, show="news") == ["j1"]
    assert known(store, "jwrong").labels == {}
    assert broken_invariants(store) == []


def test_the_indexes_go_with_the_job(store: Store) -> None:
    """No index of sixteen labels is left after the last job, although the submission was removed first."""
    labels = {f"l{n}": str(n) for n in range(16)}
    labelled(store, labels)
    tell(store, said("j1", "Success"), said("j2", "Success"), source="submit", submission="s1")
    assert len(indexes(store)) == 16
    assert store.retention.drop_job("j1") is not None
    assert listed(store, l3="3") == ["j2"]
    store.db.client.delete(store.db.key("submission", "s1"), store.db.key("request", "s1"))
    assert store.retention.drop_job("j2") is not None
    assert indexes(store) == set()


def test_retention_removes_the_indexes_of_labels(store: Store) -> None:
    labelled(store)
    WAYS["CI's answer"](store)
    WAYS["its callback"](store)
    store.retention.drop_jobs(-60, 100)
    assert not store.jobs.exists("j1")
    assert indexes(store) == set()


def test_every_event_of_the_job_has_labels_and_deadline(store: Store) -> None:
    """A callback, a doubt, a replay and a check: a reader of the stream need not read the job."""
    made = labelled(store)
    WAYS["its callback"](store)
    tell(store, said("j1", "Failed"), submission="s1")
    store.replays.replay("j1", "me")
    store.checks.note(known(store, "j1").report, {}, ok=False)
    rows: Any = store.db.client.xrange(store.db.key("events"))
    fields = [fields for _, fields in rows]
    assert [row[b"kind"] for row in fields] == [b"callback", b"doubt", b"replay", b"check"]
    assert made.deadline == "2099-01-02T10:00:00Z"
    assert {row[b"deadline"] for row in fields} == {b"2099-01-02T10:00:00Z"}
    assert {each.event.labels["show"] for each in store.outbox.after("0-0", 10)} == {"news"}


def test_events_about_trouble_have_labels_and_deadline(store: Store) -> None:
    """Of a job that is overdue, and of a run that is out of tries."""
    made = replace(submission("s1"), labels=LABELS, deadline="2022-06-27T08:00:00Z")
    store.submissions.create(made)
    tell(store, said("j1", "Running"), source="submit", submission="s1")
    (news,) = store.outbox.after("0-0", 10)
    store.runs.plan([(news.event, [("h", None)])])
    run = run_id(news.event.event_id, "h")
    store.runs.start(Start(run, 60, 1, "w"))
    store.runs.finish(End(run, 1, "failed", {"n": 1, "error": "no"}))
    assert store.due.announce_overdue(known(store, "j1"))
    events = [each.event for each in store.outbox.after("0-0", 10)]
    assert [each.kind for each in events] == ["submit", "run_failed", "overdue"]
    assert all(each.labels == LABELS for each in events)
    rows: Any = store.db.client.xrange(store.db.key("events"))
    assert [fields[b"deadline"] for _, fields in rows] == [made.deadline.encode()] * 3


def test_a_page_costs_the_same_wherever_it_stands(store: Store) -> None:
    """Jobs with the label are found by its index: others between them, or in front, are not read."""
    for n in range(6):
        labelled(store, {"show": "news" if n % 2 else "sport"}, f"s{n}")
        details = [
            said(f"j{n}-{m:02}", "Success", created_at=f"2022-06-27T07:{n:02}:{m:02}Z") for m in range(40)
        ]
        tell(store, *details, source="submit", submission=f"s{n}")
    wanted, cursor = Filter(equal=(("label.show", "news"),)), None
    costs: list[int] = []
    while not costs or cursor:
        before = commands(store)
        page = store.jobs.page(wanted, 20, cursor)
        costs.append(commands(store) - before)
        assert len(page.jobs) == 20 or page.next_cursor is None
        cursor = page.next_cursor
    assert len(costs) >= 6
    assert max(costs[:6]) - min(costs[:6]) <= 1 + max(costs) // 10


def commands(store: Store) -> int:
    info: Any = store.db.client.info("stats")
    return int(info["total_commands_processed"])
