"""Schedules are kept by the clock of Redis alone: a process whose own clock is an hour off changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.redis.scripts import decoded
from app.store import Store
from app.store.access.callback_urls import CallbackUrl
from app.store.refusals.refusal import Refusal
from app.store.runs.run import run_id
from app.store.schedules.schedules import Backlog
from app.store.submissions.submissions import ANSWER_PATIENCE_S
from tests.store.clocks import off_by
from tests.store.said import said, tell
from tests.store.samples import submission

HOUR_S = 3600.0
SLACK_S = 600.0
"""Between the hour that a clock is off and what a busy machine may take."""


def due_in_s(store: Store, kind: str, member: str) -> float:
    """In how many seconds by the clock of Redis the member is due."""
    score = store.db.client.zscore(store.db.key(kind), member)
    assert isinstance(score, float)
    return (score - store.db.now_ms()) / 1000


def asked_for_outputs(store: Store) -> None:
    tell(store, said("j1", "Success"))
    digest = decoded(store.db.client.hget(store.db.key("job", "j1"), "digest"))
    assert store.due.ask_outputs("j1", digest or "", 100) == "asked"


def asked(store: Store) -> None:
    tell(store, said("j1", "Running"), ask_after=1e6)
    store.due.ask("j1", 100)


def put_off(store: Store) -> None:
    tell(store, said("j1", "Running"), ask_after=1.0)
    store.due.put_off("j1", 100)


def refused(store: Store) -> None:
    tell(store, said("j1", "Running"), ask_after=1e6)
    store.refusals.note(Refusal("binding_mismatch", "no", "t", {}, ("j1",), body=b"x"))


def submitted(store: Store) -> None:
    store.submissions.create(submission("s1"))
    tell(store, said("j1", "Running"), source="submit", submission="s1", ask_after=1e6)


def flooded(store: Store) -> None:
    submitted(store)
    store.floods.note("t", "s1", 60)


def doubted(store: Store) -> None:
    """CI's answer came after a flood of the submission's URL."""
    store.submissions.create(submission("s1"))
    store.floods.note("t", "s1", 60)
    tell(store, said("j1", "Running"), source="submit", submission="s1", ask_after=1e6)


def claimed_wrongly(store: Store) -> None:
    store.submissions.create(submission("s1"))
    tell(store, said("j1", "Running"), submission="s1", ask_after=1e6)
    tell(store, said("j2", "Running"), source="submit", submission="s1")


QUESTIONS: dict[str, tuple[Callable[[Store], object], float]] = {
    "a callback": (lambda store: tell(store, said("j1", "Running"), ask_after=100.0), 100),
    "an answer": (lambda store: tell(store, said("j1", "Running"), source="poll", ask_after=100.0), 100),
    "a doubt": (lambda store: tell(store, said("j1", "Odd"), ask_after=1e6), 0),
    "outputs": (lambda store: tell(store, said("j1", "Success"), unconfirmed=frozenset({0})), 2),
    "outputs later": (asked_for_outputs, 100),
    "a person": (asked, 100),
    "put off": (put_off, 100),
    "a refusal": (refused, 0),
    "a flood": (flooded, 0),
    "an answer after a flood": (doubted, 0),
    "another job named": (claimed_wrongly, 0),
}
"""What makes a question about a job, and in how many seconds it is asked."""


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("why", QUESTIONS)
def test_a_question_is_due_when_it_should_be(store: Store, why: str, hours: int) -> None:
    make, in_s = QUESTIONS[why]
    with off_by(hours * HOUR_S):
        make(store)
        assert abs(due_in_s(store, "due", "j1") - in_s) < SLACK_S
        assert store.due.late(HOUR_S / 2) == 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_lost_submission_is_searched_for_when_it_should_be(store: Store, hours: int) -> None:
    """After its request, after a callback that claims a job for it, and after a search without result."""
    with off_by(hours * HOUR_S):
        store.submissions.create(submission("s1"))
        assert abs(due_in_s(store, "lost", "s1") - ANSWER_PATIENCE_S) < SLACK_S
        tell(store, said("j1", "Running"), submission="s1")
        assert abs(due_in_s(store, "lost", "s1")) < SLACK_S
        store.submissions.look_again("s1", 100)
        assert abs(due_in_s(store, "lost", "s1") - 100) < SLACK_S


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_end_of_a_flood_is_when_it_should_be(store: Store, hours: int) -> None:
    store.callback_urls.add(CallbackUrl("t", "console"))
    with off_by(hours * HOUR_S):
        store.floods.note("t", None, 60)
        assert abs(due_in_s(store, "flooded", "t") - 60) < SLACK_S


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("is_trouble", [False, True])
def test_a_run_is_due_at_once(store: Store, is_trouble: bool, hours: int) -> None:
    """Of news, and the first of a burst; the process that planned it neither waits too long nor asks too early."""
    tell(store, said("j1", "Odd" if is_trouble else "Success"))
    (posted,) = store.outbox.after("0-0", 10)
    run = run_id(posted.event.event_id, "h")
    with off_by(hours * HOUR_S):
        store.runs.plan([(posted.event, [("h", None), ("forward", "there")])])
        backlog = store.schedules.backlog()
        assert (backlog.due, backlog.oldest_s < SLACK_S) == (1, True)
        assert store.schedules.next_due_s() == store.deliveries.next_due_s("there") == 0
        assert store.deliveries.expire("there", HOUR_S / 2, "too old") == 0
        assert store.schedules.take_due(10, 100) == [run]
        assert 0 < (store.schedules.next_due_s() or 0) <= 100
        assert store.schedules.backlog() == Backlog(0, 0.0)


def test_an_empty_schedule_has_no_next_run(store: Store) -> None:
    assert store.schedules.next_due_s() is None
    assert store.deliveries.next_due_s("there") is None
    assert store.schedules.backlog() == Backlog(0, 0.0)
    assert store.due.late(0) == 0
