"""Where CI's own answer is required, a report waits until CI confirms it."""

from __future__ import annotations

from app.store import Store
from tests.store.news import EARLY
from tests.store.said import said, tell


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
    """A forged end of a running job causes a doubt and changes nothing else; CI's answer removes the doubt."""
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
