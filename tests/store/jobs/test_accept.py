"""What becomes of each piece of news, by table. Every test runs the real script in a real server."""

from __future__ import annotations

import random
from typing import Any

import pytest

from app.ci.incoming.payload import Detail
from app.core.clock import now_ms
from app.redis.scripts import decoded_all, text_map
from app.store import NotBelieved, Outcome, OverLimit, Store, Unavailable
from app.store.jobs.accept import Acceptor, Limits, Source, UrlLimit
from app.store.jobs.index import names
from app.store.keys import KINDS
from app.store.reading.job import Reported
from app.store.reading.listing import Filter
from app.store.submissions.submissions import Submission, deadline_after
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell

EARLY, LATE, FUTURE = "2022-06-27T07:30:00Z", "2022-06-27T07:40:00Z", "9999-12-31T00:00:00Z"

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
def test_what_becomes_of_news(
    store: Store, known: str, news: str, outcome: str, state: str | None, doubt: str | None
) -> None:
    """Each line of the table."""
    if {"o", "s"} & {step[0] for step in filter(None, [*known.split(", "), news])}:
        _create(store, "s1")
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


def test_the_same_news_has_the_same_event_whichever_way_it_comes(store: Store) -> None:
    """A callback and a poll with one content are one event: handlers are idempotent by its id."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", LATE), source="poll")
    tell(store, said("j1", "Success", EARLY), source="poll")
    ids = [posted.event.event_id for posted in store.outbox.after("0", 10)]
    assert len(ids) == 3
    assert ids[0] == ids[2]


def test_a_poll_that_changes_no_state_runs_no_handlers(store: Store) -> None:
    """More detail about the same end is told to listeners, not handled again."""
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
    """A later duplicate of the end does not make us forget that it was doubted; CI's answer does."""
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
    """News that comes meanwhile moves the job; its handlers run once CI has confirmed it."""
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
    """The same contradiction again is kept in the history, and makes no noise."""
    tell(store, said("j1", "Success", EARLY))
    for _ in range(5):
        assert tell(store, said("j1", "Failed", EARLY)) == ["stale"]
    assert [posted.event.kind for posted in store.outbox.after("0", 10)] == ["callback", "doubt"]
    entries, _ = store.jobs.history("j1")
    assert [entry.get("doubt") for entry in entries] == [None] + ["states_differ"] * 5


def test_what_ci_has_decided_is_asked_about_at_most_once_an_hour(store: Store) -> None:
    """After CI's answer, contradictions are stale, and a hundred of them are one question."""
    tell(store, said("j1", "Success", EARLY), source="poll")
    for n in range(20):
        assert tell(store, said("j1", "Failed", f"2022-06-27T08:{n:02}:00Z")) == ["stale"]
    assert store.due.take(10, 60) == ["j1"]
    tell(store, said("j1", "Success", EARLY), source="poll")
    tell(store, said("j1", "Failed", LATE))
    assert store.due.size() == 0


def test_the_url_of_a_submission_that_is_gone_means_less(store: Store) -> None:
    """It names no more jobs than before, owns none of them, and decides nothing."""
    for n in range(32):
        assert tell(store, said(f"j{n}", "Success", EARLY), submission="sgone") == ["stale"]
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j99", "Success", EARLY), submission="sgone")
    assert _owner(store, "j1") is None
    assert [posted.event.kind for posted in store.outbox.after("0", 100)] == ["doubt"] * 32


def test_several_jobs_in_one_body_are_all_or_nothing(store: Store) -> None:
    """Each detail has its own outcome; a refusal of one is a refusal of all."""
    assert tell(store, said("j1", "Success", EARLY), said("j2", "Running")) == ["accepted", "accepted"]
    _submitted(store, "s1", said("j3", "Submitted"))
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j3", "Success", EARLY), said("j4", "Success", EARLY), submission="s1")
    assert store.jobs.get("j4") is None
    assert not broken_invariants(store)


def test_one_body_may_speak_of_one_job_twice(store: Store) -> None:
    """The second detail is compared with what the first has just made known."""
    both = (said("j1", "Running"), said("j1", "Success", EARLY), said("j1", "Running"))
    assert tell(store, *both) == ["accepted", "accepted", "duplicate"]
    assert not broken_invariants(store)


# ── whose job is it ─────────────────────────────────────────────────────────


def _create(store: Store, submission: str) -> None:
    store.submissions.create(
        Submission(submission, "sending", "2022-06-27T07:23:10Z", deadline_after(60), "own", "demo", "here")
    )


def _submitted(store: Store, submission: str, *details: Detail) -> None:
    _create(store, submission)
    tell(store, *details, source="submit", submission=submission)


def _job_ids(store: Store, submission: str) -> tuple[str, ...]:
    kept = store.submissions.get(submission)
    assert kept is not None
    return kept.job_ids


def _owner(store: Store, job_id: str) -> str | None:
    job = store.jobs.get(job_id)
    assert job is not None
    return job.submission.id if job.submission else None


def test_the_answer_binds_its_jobs(store: Store) -> None:
    """After CI's answer, the token speaks for the jobs that it named and for no other."""
    _submitted(store, "s1", said("j1", "Submitted"), said("j2", "Submitted"))
    assert _job_ids(store, "s1") == ("j1", "j2")
    assert tell(store, said("j2", "Success", EARLY), submission="s1") == ["accepted"]
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j9", "Success", EARLY), submission="s1")
    assert tell(store, said("j9", "Success", EARLY), submission="s1", bind=False) == ["accepted"]


def test_a_callback_may_come_before_the_answer(store: Store) -> None:
    """It is taken on the token's word, and the job is the submission's once CI has named it."""
    _create(store, "s1")
    tell(store, said("j1", "Success", EARLY), submission="s1")
    assert (_owner(store, "j1"), _job_ids(store, "s1")) == ("s1", ())
    assert tell(store, said("j1", "Submitted"), source="submit", submission="s1") == ["stale"]
    assert (_owner(store, "j1"), _job_ids(store, "s1")) == ("s1", ("j1",))
    assert store.due.size() == 0


def test_the_answer_wins_over_a_claim(store: Store) -> None:
    """A job that a callback claimed, and that CI then did not name, loses the claim and all that it said, and is asked
    about; whatever CI says of it is believed, and so is what another token says."""
    _create(store, "s1")
    for job_id in ("jforged", "jother"):
        tell(store, said(job_id, "Running"), submission="s1")
        tell(store, said(job_id, "Success", EARLY), submission="s1")
    tell(store, said("j1", "Submitted"), source="submit", submission="s1")
    forged = store.jobs.get("jforged")
    assert forged is not None
    assert (forged.submission, forged.verification) == (None, "unconfirmed")
    assert (forged.state, forged.terminal, forged.ended_at, forged.raw) == (None, False, None, None)
    assert [job.job_id for job in store.jobs.page(Filter(equal=(("state", "Success"),)), 10).jobs] == []
    assert sorted(store.due.take(10, 60)) == ["jforged", "jother"]
    assert tell(store, said("jforged", "Running"), source="poll") == ["accepted"]
    assert tell(store, said("jother", "Success", EARLY)) == ["accepted"]
    assert [job.job_id for job in store.jobs.page(Filter(equal=(("state", "Success"),)), 10).jobs] == [
        "jother"
    ]


def test_what_was_known_before_a_claim_stays(store: Store) -> None:
    """A claim that was wrong takes along only what came with it."""
    _create(store, "s1")
    tell(store, said("j2", "Running"))
    tell(store, said("j2", "Success", EARLY), submission="s1")
    tell(store, said("j3", "Running"), submission="s1")
    tell(store, said("j3", "Success", EARLY), source="poll")
    tell(store, said("j1", "Submitted"), source="submit", submission="s1")
    assert {job_id: job.state for job_id in ("j2", "j3") if (job := store.jobs.get(job_id))} == {
        "j2": "Success",
        "j3": "Success",
    }


def test_a_token_cannot_claim_the_job_of_another_submission(store: Store) -> None:
    """Not even before CI has answered what the token's own jobs are."""
    _submitted(store, "s1", said("j1", "Submitted"))
    _create(store, "s2")
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j1", "Failed", LATE), submission="s2")
    tell(store, said("j1", "Success", EARLY), submission="s2", bind=False)
    assert _owner(store, "j1") == "s1"


def test_a_leaked_token_cannot_claim_without_end(store: Store) -> None:
    """One submission has a handful of jobs: past a cap, further names are refused, known ones are not."""
    _create(store, "s1")
    for n in range(32):
        tell(store, said(f"j{n}", "Running"), submission="s1")
    with pytest.raises(NotBelieved, match="binding_mismatch"):
        tell(store, said("j99", "Running"), submission="s1")
    assert tell(store, said("j3", "Success", EARLY), submission="s1") == ["accepted"]


def test_a_revoked_token_is_refused(store: Store) -> None:
    """Nothing of what it brings is kept."""
    store.refusals.revoke("mark")
    with pytest.raises(NotBelieved, match="revoked_token"):
        tell(store, said("j1", "Success", EARLY), token="mark")
    assert store.jobs.get("j1") is None


# ── CI's own word first ─────────────────────────────────────────────────────


def test_held_news_moves_nothing_until_ci_confirms(store: Store) -> None:
    """With `confirm`, a callback is stored and CI is asked; state and handlers wait for the answer."""
    assert tell(store, said("j1", "Success", EARLY), hold=True, verification="unconfirmed") == ["accepted"]
    held = store.jobs.get("j1")
    assert held is not None
    assert (held.state, held.verification, store.outbox.size()) == (None, "unconfirmed", 0)
    assert store.due.take(10, 60) == ["j1"]
    assert tell(store, said("j1", "Success", EARLY), source="poll") == ["accepted"]
    known = store.jobs.get("j1")
    assert known is not None
    assert (known.state, known.verification) == ("Success", "confirmed")
    assert [posted.event.runs_handlers for posted in store.outbox.after("0", 10)] == [True]


def test_a_held_forgery_ends_as_ci_says(store: Store) -> None:
    """A lie about a job that is still running changes nothing but the mark that it was doubted, and that goes."""
    tell(store, said("j1", "Running"), source="poll")
    tell(store, said("j1", "Failed", EARLY), hold=True, verification="unconfirmed")
    doubted = store.jobs.get("j1")
    assert doubted is not None
    assert (doubted.state, doubted.verification) == ("Running", "unconfirmed")
    assert tell(store, said("j1", "Running"), source="poll") == ["duplicate"]
    known = store.jobs.get("j1")
    assert known is not None
    assert (known.state, known.verification) == ("Running", "confirmed")
    assert known.version > doubted.version


# ── bounds ──────────────────────────────────────────────────────────────────


def test_a_history_is_capped_and_still_ends_with_what_changed_the_job(store: Store) -> None:
    """Past the cap entries are only counted; but what moves the job takes the last line."""
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


def test_a_body_is_kept_once_however_many_jobs_it_speaks_of(store: Store) -> None:
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
    """They live for RETENTION_RAW, from the last time that they came."""
    short = Acceptor(store.db, Limits(raw_s=60), store.durable)
    tell(short, said("j1", "Running"))
    (kept,) = store.db.client.scan_iter(store.db.key("body", "*"))
    assert 50_000 < store.db.client.pttl(kept) <= 60_000


# ── what one URL may cost ───────────────────────────────────────────────────


@pytest.mark.parametrize("submission", ["s1", None, "sgone"])
def test_callbacks_a_minute_are_limited(store: Store, submission: str | None) -> None:
    """Beyond the limit nothing is kept; the answer says when the URL may send again. Duplicates count too."""
    _create(store, "s1")
    more: dict[str, Any] = {"submission": submission, "token": "t1", "limit": UrlLimit(per_minute=4, runs=20)}
    now = now_ms()
    with pytest.raises(OverLimit) as over:
        for n in range(9):  # a minute may begin in between
            tell(store, said("j1", "Running", progress=n // 2), **more)
    assert 0 < over.value.seconds <= 60
    entries, _ = store.jobs.history("j1")
    assert len(entries) == 4 or now // 60_000 != now_ms() // 60_000
    tell(store, said("j2", "Running"), token="t2", limit=UrlLimit(per_minute=4, runs=20))


@pytest.mark.parametrize("limit", [UrlLimit(100, 20, bytes=2000), UrlLimit(100, 20, bytes_per_minute=2000)])
def test_bytes_are_limited(store: Store, limit: UrlLimit) -> None:
    """What is kept counts in full size, body and record; a body that is there already counts nothing."""
    _create(store, "s1")
    more: dict[str, Any] = {"submission": "s1", "token": "t1", "limit": limit}
    for _ in range(5):
        tell(store, said("j1", "Running"), body=b"a" * 600, **more)
    with pytest.raises(OverLimit):
        tell(store, said("j1", "Success", EARLY), body=b"b" * 600, **more)
    assert tell(store, said("j1", "Running"), body=b"a" * 600, **more) == ["duplicate"]


def test_one_url_runs_a_jobs_handlers_only_so_often(store: Store) -> None:
    """Past it news is kept, moves nothing, and CI is asked; the end of the job comes through all the same."""
    few = Acceptor(store.db, Limits(runs=5), store.durable)
    for n in range(20):
        assert tell(few, said("j1", "Running", progress=n)) == ["accepted"]
    assert [posted.event.runs_handlers for posted in store.outbox.after("0", 100)] == [True] * 3
    assert store.due.take(10, 60) == ["j1"]
    for ended in (None, EARLY, LATE, "2022-06-27T07:50:00Z"):
        tell(few, said("j1", "Success", ended))
    events = [posted.event for posted in store.outbox.after("0", 100)]
    assert [event.state for event in events if event.runs_handlers] == ["Running"] * 3 + ["Success"] * 2


def test_a_console_url_is_listed_with_its_first_use(store: Store) -> None:
    """Its name and last use are kept by its fingerprint, also for one that an earlier release made."""
    tell(store, said("j1", "Running"), token="print", url={"name": "console", "expires": 5})
    kept = text_map(store.db.client.hgetall(store.db.key("url", "print")))
    assert (kept["name"], kept["expires"]) == ("console", "5")
    assert now_ms() - int(kept["used"]) < 60_000
    assert decoded_all(store.db.client.zrange(store.db.key("urls"), 0, -1)) == ["print"]


# ── nothing by half ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["job", "record", "index", "due", "jobs", "touched", "events", "claims"])
def test_a_key_of_another_type_stops_the_script_before_its_first_write(store: Store, kind: str) -> None:
    """Somebody else's value under one of our keys loses nothing, and leaves nothing half written."""
    _create(store, "s1")
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
    """Neither it nor the job that it seems to speak of takes harm."""
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
    """Past JOBS_MAX callbacks of strangers are not taken; what we submit ourselves, and what is known, is."""
    tiny = Acceptor(store.db, Limits(jobs=1), store.durable)
    tell(tiny, said("j1", "Running"))
    with pytest.raises(Unavailable, match="JOBS_MAX"):
        tell(tiny, said("j2", "Running"))
    assert tell(tiny, said("j2", "Submitted"), source="submit") == ["accepted"]
    assert tell(tiny, said("j1", "Success", EARLY)) == ["accepted"]


def test_contents_past_the_history_are_not_remembered(store: Store) -> None:
    """A job that is told ever new things about does not grow for ever."""
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
