"""What becomes of each piece of news, by table. Every test runs the real script in a real server."""

from __future__ import annotations

import pytest

from app.ci.payload import Detail
from app.store import NotBelieved, Store, Unavailable
from app.store.accept import Acceptor, Limits, Source
from app.store.clock import now_ms
from app.store.jobs import Filter
from app.store.scripts import texts
from app.store.submissions import Submission, deadline_after
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell

EARLY, LATE = "2022-06-27T07:30:00Z", "2022-06-27T07:40:00Z"

# What is known, what comes, its outcome, and the state after it.
# `c` is a callback, `p` a poll, `s` the answer to our own submission; then the state and the time of its end.
TABLE: list[tuple[str, str, str, str | None]] = [
    # From nothing, anything is news.
    ("", "c Submitted", "accepted", "Submitted"),
    ("", "c Success@early", "accepted", "Success"),
    ("", "p Running", "accepted", "Running"),
    ("", "c Archived", "accepted", "Archived"),
    ("", "c -", "accepted", None),
    # Further along wins; what is behind is kept in the history only.
    ("c Submitted", "c Running", "accepted", "Running"),
    ("c Running", "c Submitted", "stale", "Running"),
    ("c Running", "c Pause", "accepted", "Pause"),
    ("c Pause", "c Running", "accepted", "Running"),
    ("c Running", "c Success@early", "accepted", "Success"),
    ("c Success@early", "c Running", "stale", "Success"),
    ("c Cancel", "c Submitted", "stale", "Cancel"),
    ("s Submitted", "c Success@early", "accepted", "Success"),
    ("c Success@early", "s Submitted", "stale", "Success"),
    # A word we do not know is behind every word that we know.
    ("c Archived", "c Submitted", "accepted", "Submitted"),
    ("c Submitted", "c Archived", "stale", "Submitted"),
    ("c Success@early", "c Archived", "stale", "Success"),
    # The same content, or the same end, is no news.
    ("c Running", "c Running", "duplicate", "Running"),
    ("c Success@early", "c Success@early", "duplicate", "Success"),
    ("c Success@early", "c Success@early+", "duplicate", "Success"),
    ("c Success@early, c Failed@late", "c Success@early+", "duplicate", "Failed"),
    ("c Success@late, c Success@early", "c Success@early+", "duplicate", "Success"),
    ("p Success@early", "c Success@early", "duplicate", "Success"),
    ("c Success@early", "p Success@early", "duplicate", "Success"),
    # End against end: the later one wins, one without a time never does.
    ("c Success@early", "c Failed@late", "accepted", "Failed"),
    ("c Failed@late", "c Success@early", "stale", "Failed"),
    ("c Success", "c Failed@early", "accepted", "Failed"),
    ("c Failed@early", "c Success", "stale", "Failed"),
    ("c Success@early", "c Failed@early", "stale", "Success"),
    ("c Success", "c Failed", "stale", "Success"),
    ("c Success@early", "c Success@late", "accepted", "Success"),
    # What CI answers us beats what came by itself, as long as neither has ended, or both have.
    ("c Running", "p Submitted", "accepted", "Submitted"),
    ("c Running", "p Archived", "accepted", "Archived"),
    ("p Submitted", "c Running", "stale", "Submitted"),
    ("p Running", "c Submitted", "stale", "Running"),
    ("p Running", "c Success@early", "accepted", "Success"),
    ("c Success@late", "p Running", "stale", "Success"),
    ("c Success@late", "p Failed@early", "accepted", "Failed"),
    ("p Failed@early", "c Success@late", "stale", "Failed"),
    ("p Failed@early", "p Success@late", "accepted", "Success"),
    ("p Running", "p Pause", "accepted", "Pause"),
    ("p Running", "p Running", "duplicate", "Running"),
    ("p Success@early", "p Running", "stale", "Success"),
    # News that does not say how the job is leaves what is known.
    ("c Running", "c -", "accepted", "Running"),
    ("c Success@early", "c -", "accepted", "Success"),
    ("p Running", "p -", "accepted", "Running"),
    ("c -", "c Submitted", "accepted", "Submitted"),
    ("p -", "c Running", "accepted", "Running"),
]

_SOURCES: dict[str, Source] = {"c": "callback", "p": "poll", "s": "submit"}


def _read(step: str) -> tuple[Source, Detail]:
    kind, word = step.split()
    state, _, when = word.partition("@")
    ended = {"": None, "early": EARLY, "late": LATE}[when.rstrip("+")]
    more = {"message": "another text"} if when.endswith("+") else {}
    return _SOURCES[kind], said("j1", None if state == "-" else state, ended, **more)


@pytest.mark.parametrize(("known", "news", "outcome", "state"), TABLE)
def test_what_becomes_of_news(store: Store, known: str, news: str, outcome: str, state: str | None) -> None:
    """Each line of the table."""
    for step in filter(None, known.split(", ")):
        source, detail = _read(step)
        tell(store, detail, source=source)
    source, detail = _read(news)
    assert tell(store, detail, source=source) == [outcome]
    job = store.jobs.get("j1")
    assert job is not None
    assert job.state == state
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
    tell(store, said("j1", "Failed", LATE))
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
        ("c Success@early", "c Failed@late", False),
        ("c Success@early", "c Running", False),
        ("c Success@early", "c Success@early", False),
    ],
)
def test_a_contradiction_that_nothing_decides_is_asked_about(
    store: Store, known: str, news: str, asked: bool
) -> None:
    """Where two pieces of news contradict each other and no rule prefers one, CI is asked at once."""
    for step in (known, news):
        source, detail = _read(step)
        tell(store, detail, source=source)
    assert store.due.take(10, 60) == (["j1"] if asked else [])


def test_a_doubt_stays_until_ci_has_answered(store: Store) -> None:
    """A later duplicate of the end does not make us forget that it was doubted; CI's answer does."""
    tell(store, said("j1", "Success", EARLY))
    tell(store, said("j1", "Failed", EARLY))
    tell(store, said("j1", "Success", EARLY))
    assert store.due.size() == 1
    tell(store, said("j1", "Success", EARLY), source="poll")
    assert store.due.size() == 0


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
    assert store.db.client.hlen(store.db.key("raw", "j1")) == 5


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
    fields = texts(store.db.client.hkeys(store.db.key("job", "j1")))
    marks = [each for each in fields if each.startswith("d:")]
    assert len(marks) <= 5


def test_news_is_stamped_with_its_own_time(store: Store) -> None:
    """What was spooled says when it came, not when it was drained."""
    tell(store, said("j1", "Running"), received_ms=now_ms() - 3_600_000)
    entries, _ = store.jobs.history("j1")
    job = store.jobs.get("j1")
    assert job is not None
    assert entries[0]["at"] < job.updated_at
