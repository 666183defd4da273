"""The outcome of each report, by table. Every test runs the real script in a real server."""

from __future__ import annotations

import pytest

from app.ci.report import Detail
from app.store import NotBelieved, Outcome, Store
from app.store.accept.news import Source
from app.store.reading.job import Reported
from tests.store.invariants import broken_invariants
from tests.store.news import EARLY, FUTURE, LATE, create_submission, owner_of, submit
from tests.store.said import said, tell

# What is known, what comes, its outcome, the state after it, and the reason of the doubt after it.
# `c` is a callback on a console URL, `o` one on the URL of the submission `s1`, `x` one on the URL of a submission that
# is no longer known; `p` is a poll, `s` CI's answer to the submission `s1`. Then the state and the time of its end.
TABLE: list[tuple[str, str, str, str | None, str | None]] = [
    # From nothing, anything is news.
    ("", "c Submitted", "accepted", "Submitted", None),
    ("", "c Success@early", "accepted", "Success", None),
    ("", "p Running", "accepted", "Running", None),
    ("", "p Archived", "accepted", "Archived", None),
    ("", "c -", "accepted", None, None),
    # Further along wins; what is behind is kept in the history only.
    ("c Submitted", "c Running", "accepted", "Running", None),
    ("c Running", "c Submitted", "stale", "Running", None),
    ("c Running", "c Pause", "accepted", "Pause", None),
    ("c Pause", "c Running", "accepted", "Running", None),
    ("c Running", "c Success@early", "accepted", "Success", None),
    ("c Success@early", "c Running", "stale", "Success", None),
    ("c Cancel", "c Submitted", "stale", "Cancel", None),
    ("s Submitted", "o Success@early", "accepted", "Success", None),
    ("o Success@early", "s Submitted", "stale", "Success", None),
    # The same content, or the same end, is no news.
    ("c Running", "c Running", "duplicate", "Running", None),
    ("c Success@early", "c Success@early", "duplicate", "Success", None),
    ("c Success@early", "c Success@early+", "duplicate", "Success", None),
    ("p Success@early", "c Success@early", "duplicate", "Success", None),
    ("c Success@early", "p Success@early", "duplicate", "Success", None),
    # Of two callbacks with one end, the one that gives its time says more.
    ("c Success", "c Success@early", "accepted", "Success", None),
    ("c Success@early", "c Success", "stale", "Success", None),
    # Ends that contradict each other: the first stays, until CI has answered.
    ("c Success@early", "c Failed@late", "stale", "Success", "states_differ"),
    ("c Failed@late", "c Success@early", "stale", "Failed", "states_differ"),
    ("c Success", "c Failed@early", "stale", "Success", "states_differ"),
    ("c Failed@early", "c Success", "stale", "Failed", "states_differ"),
    ("c Success@early", "c Failed@early", "stale", "Success", "states_differ"),
    ("c Success", "c Failed", "stale", "Success", "states_differ"),
    ("c Success@early", "c Success@late", "stale", "Success", "ends_differ"),
    ("c Success@early, c Failed@late", "c Success@early+", "duplicate", "Success", "states_differ"),
    ("c Success@late, c Success@early", "c Success@early+", "stale", "Success", "ends_differ"),
    ("c Success@early, c Failed@late", "p Success@early", "duplicate", "Success", None),
    ("c Success@early, c Failed@late", "p Failed@late", "accepted", "Failed", None),
    ("c Success@early, c Failed@late", "p Running", "stale", "Success", "states_differ"),
    # An end in the future, and a word that is none of CI's, decide nothing, whatever is known.
    ("", "c Failed@future", "stale", None, "end_in_future"),
    ("c Running", "c Failed@future", "stale", "Running", "end_in_future"),
    ("c Success@early", "c Failed@future", "stale", "Success", "end_in_future"),
    ("c Running, c Failed@future", "c Success@early", "accepted", "Success", "end_in_future"),
    ("c Running, c Failed@future, c Success@early", "p Success@early", "accepted", "Success", None),
    ("c Running, c Failed@future", "p Running", "duplicate", "Running", None),
    ("p Running", "p Failed@future", "accepted", "Failed", None),
    ("", "c Archived", "stale", None, "unknown_state"),
    ("c Submitted", "c Archived", "stale", "Submitted", "unknown_state"),
    ("c Success@early", "c Archived", "stale", "Success", "unknown_state"),
    ("c Archived", "c Submitted", "accepted", "Submitted", "unknown_state"),
    ("c Submitted, c Archived", "p Archived", "accepted", "Archived", None),
    # A console URL does not speak for a job with a URL of its own, nor the URL of a submission that is gone for any.
    ("s Submitted", "c Success@early", "stale", "Submitted", "foreign_url"),
    ("s Submitted, c Success@early", "o Success@early", "accepted", "Success", "foreign_url"),
    ("s Submitted, o Success@early", "c Success@early", "duplicate", "Success", None),
    ("s Submitted, o Running", "c Submitted+", "stale", "Running", None),
    ("", "x Success@early", "stale", None, "unknown_submission"),
    ("c Running", "x Success@early", "stale", "Running", "unknown_submission"),
    ("x Success@early", "p Success@early", "accepted", "Success", None),
    # What CI answers us beats what came by itself, as long as neither has ended, or both have.
    ("c Running", "p Submitted", "accepted", "Submitted", None),
    ("c Running", "p Archived", "accepted", "Archived", None),
    ("p Submitted", "c Running", "stale", "Submitted", None),
    ("p Running", "c Submitted", "stale", "Running", None),
    ("p Running", "c Success@early", "accepted", "Success", None),
    ("c Success@late", "p Running", "stale", "Success", None),
    ("c Success@late", "p Failed@early", "accepted", "Failed", None),
    ("p Failed@early", "p Success@late", "accepted", "Success", None),
    ("p Running", "p Pause", "accepted", "Pause", None),
    ("p Running", "p Running", "duplicate", "Running", None),
    ("p Success@early", "p Running", "stale", "Success", None),
    # After CI has answered with an end, no callback is a doubt.
    ("p Failed@early", "c Success@late", "stale", "Failed", None),
    ("p Failed@early", "c Failed@future", "stale", "Failed", None),
    ("p Failed@early", "c Archived", "stale", "Failed", None),
    ("s Submitted, p Failed@early", "c Success@late", "stale", "Failed", None),
    # News that does not say how the job is leaves what is known.
    ("c Running", "c -", "accepted", "Running", None),
    ("c Success@early", "c -", "accepted", "Success", None),
    ("p Running", "p -", "accepted", "Running", None),
    ("c -", "c Submitted", "accepted", "Submitted", None),
    ("p -", "c Running", "accepted", "Running", None),
]

_SOURCES: dict[str, Source] = {"c": "callback", "o": "callback", "x": "callback", "p": "poll", "s": "submit"}
_SUBMISSIONS = {"o": "s1", "s": "s1", "x": "sgone"}


def _read(step: str) -> tuple[Source, Detail]:
    kind, word = step.split()
    state, _, when = word.partition("@")
    state, more = state.rstrip("+"), {"message": "another text"} if word.endswith("+") else {}
    ended = {"": None, "early": EARLY, "late": LATE, "future": FUTURE}[when.rstrip("+")]
    return _SOURCES[kind], said("j1", None if state == "-" else state, ended, **more)


def _play(store: Store, step: str) -> list[Outcome]:
    source, detail = _read(step)
    return tell(store, detail, source=source, submission=_SUBMISSIONS.get(step[0]), token=step[0])


@pytest.mark.parametrize(("known", "news", "outcome", "state", "doubt"), TABLE)
def test_the_outcome_of_news(
    store: Store, known: str, news: str, outcome: str, state: str | None, doubt: str | None
) -> None:
    if {"o", "s"} & {step[0] for step in filter(None, [*known.split(", "), news])}:
        create_submission(store, "s1")
    for step in filter(None, known.split(", ")):
        _play(store, step)
    assert _play(store, news) == [outcome]
    job = store.jobs.get("j1")
    assert job is not None
    assert (job.state, job.doubt and job.doubt.reason) == (state, doubt)
    assert not broken_invariants(store)


def test_only_news_makes_events(store: Store) -> None:
    """Accepted news is one event; duplicates and stale ones stand in the history alone."""
    for step in ("c Running", "c Running", "c Submitted", "c Success@early"):
        tell(store, _read(step)[1])
    entries, count = store.jobs.history("j1")
    assert [entry["outcome"] for entry in entries] == ["accepted", "duplicate", "stale", "accepted"]
    assert (count, store.outbox.size()) == (4, 2)


def test_the_same_news_has_the_same_event_from_every_source(store: Store) -> None:
    """A callback and a poll with one content are one event: handlers are idempotent by its id."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", LATE), source="poll")
    tell(store, said("j1", "Success", EARLY), source="poll")
    ids = [posted.event.event_id for posted in store.outbox.after("0", 10)]
    assert len(ids) == 3
    assert ids[0] == ids[2]


def test_a_poll_that_changes_no_state_runs_no_handlers(store: Store) -> None:
    """More detail about the same end reaches listeners; handlers do not run again."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Success", EARLY, message="done"), source="poll")
    tell(store, said("j1", "Failed", EARLY), source="poll")
    assert [posted.event.runs_handlers for posted in store.outbox.after("0", 10)] == [True, False, True]


def test_answers_count_by_when_they_were_asked_for(store: Store) -> None:
    """An answer of CI that was overtaken by a later one changes nothing."""
    tell(store, said("j1", "Running"), source="poll", asked_ms=2000)
    assert tell(store, said("j1", "Submitted"), source="poll", asked_ms=1000) == ["stale"]
    assert tell(store, said("j1", "Success", EARLY), source="poll", asked_ms=500) == ["accepted"]
    assert tell(store, said("j1", "Failed", EARLY), source="poll", asked_ms=400) == ["stale"]


@pytest.mark.parametrize(
    ("known", "news", "asked"),
    [
        ("c Running", "c Pause", True),
        ("c Success@early", "c Failed@early", True),
        ("c Success", "c Failed", True),
        ("p Submitted", "c Running", True),
        ("p Failed@early", "c Success@late", True),
        ("c Success@early", "c -", True),
        ("c Success@early", "c Failed@late", True),
        ("c Running", "c Failed@future", True),
        ("c Running", "c Archived", True),
        ("c Success@early", "c Success", False),
        ("c Success@early", "c Running", False),
        ("c Success@early", "c Success@early", False),
    ],
)
def test_a_contradiction_that_nothing_decides_is_asked_about(
    store: Store, known: str, news: str, asked: bool
) -> None:
    """Where two reports contradict each other and no rule prefers one, CI is asked at once."""
    for step in (known, news):
        source, detail = _read(step)
        tell(store, detail, source=source)
    assert store.due.take(10, 60) == (["j1"] if asked else [])


def test_a_doubt_stays_until_ci_has_answered(store: Store) -> None:
    """A later duplicate of the end does not remove the doubt; CI's answer does."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", EARLY, code="InternalError"))
    tell(store, said("j1", "Success", EARLY))
    doubted = store.jobs.get("j1")
    assert doubted is not None
    assert doubted.doubt is not None
    assert doubted.doubt.reported == Reported(state="Failed", code="InternalError", ended_at=EARLY)
    assert store.due.size() == 1
    tell(store, said("j1", "Success", EARLY), source="poll")
    known = store.jobs.get("j1")
    assert known is not None
    assert (known.doubt, store.due.size()) == (None, 0)
    assert known.version > doubted.version


def test_no_handler_for_news_runs_while_a_job_is_doubted(store: Store) -> None:
    """A report in that time changes the job; its handlers run once CI has confirmed it."""
    tell(store, said("j1", "Running"))
    tell(store, said("j1", "Failed", FUTURE))
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Success", EARLY), source="poll")
    tell(store, said("j1", "Success", EARLY), source="poll")
    events = [posted.event for posted in store.outbox.after("0", 10)]
    assert [(event.kind, event.state, event.runs_handlers) for event in events] == [
        ("callback", "Running", True),
        ("doubt", "Running", False),
        ("callback", "Success", False),
        ("poll", "Success", True),
    ]
    assert events[2].event_id == events[3].event_id


def test_a_doubt_makes_one_event_for_each_thing_that_is_reported(store: Store) -> None:
    """The same contradiction again is stored in the history, and makes no further event."""
    tell(store, said("j1", "Success", EARLY))
    for _ in range(5):
        assert tell(store, said("j1", "Failed", EARLY)) == ["stale"]
    assert [posted.event.kind for posted in store.outbox.after("0", 10)] == ["callback", "doubt"]
    entries, _ = store.jobs.history("j1")
    assert [entry.get("doubt") for entry in entries] == [None] + ["states_differ"] * 5


def test_ci_is_asked_again_about_a_decided_job_at_most_once_an_hour(store: Store) -> None:
    """After CI's answer contradictions are stale, and twenty of them cause one question."""
    tell(store, said("j1", "Success", EARLY), source="poll")
    for n in range(20):
        assert tell(store, said("j1", "Failed", f"2022-06-27T08:{n:02}:00Z")) == ["stale"]
    assert store.due.take(10, 60) == ["j1"]
    tell(store, said("j1", "Success", EARLY), source="poll")
    tell(store, said("j1", "Failed", LATE))
    assert store.due.size() == 0


def test_a_url_whose_submission_is_gone_decides_nothing(store: Store) -> None:
    """It names at most 32 jobs, becomes the owner of none, and each of its reports is only a doubt."""
    for n in range(32):
        assert tell(store, said(f"j{n}", "Success", EARLY), submission="sgone") == ["stale"]
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j99", "Success", EARLY), submission="sgone")
    assert owner_of(store, "j1") is None
    assert [posted.event.kind for posted in store.outbox.after("0", 100)] == ["doubt"] * 32


def test_several_jobs_in_one_body_are_all_or_nothing(store: Store) -> None:
    """Each detail has its own outcome; a refusal of one is a refusal of all."""
    assert tell(store, said("j1", "Success", EARLY), said("j2", "Running")) == ["accepted", "accepted"]
    submit(store, "s1", said("j3", "Submitted"))
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j3", "Success", EARLY), said("j4", "Success", EARLY), submission="s1")
    assert store.jobs.get("j4") is None
    assert not broken_invariants(store)


def test_one_body_may_speak_of_one_job_twice(store: Store) -> None:
    """The second report of a job is compared with the first one of the same body."""
    both = (said("j1", "Running"), said("j1", "Success", EARLY), said("j1", "Running"))
    assert tell(store, *both) == ["accepted", "accepted", "duplicate"]
    assert not broken_invariants(store)
