"""An operator's decision counts only for what they saw: if the job has changed since, it is read again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.ci.incoming.payload import parse
from app.redis.scripts import text_map
from app.store import News, Store
from app.store.jobs.doubts import Doubts
from tests.workers.news import body

END, OTHER_END = "2026-01-02T10:00:00+0800", "2026-01-02T11:00:00+0800"


def say(store: Store, state: str, source: Any = "callback", end: str = END) -> None:
    content = body("j1", state, EndTime=end)
    store.acceptor.accept(News(parse(content).details, source, "token", body=content))


def known(store: Store) -> dict[str, str]:
    return text_map(store.db.client.hgetall(store.db.key("job", "j1")))


def history(store: Store) -> list[dict[str, Any]]:
    return store.jobs.history("j1")[0]


class Late:
    """The acceptor, but once something else happens between the operator's look and their decision."""

    def __init__(self, store: Store, before: Callable[[], Any]) -> None:
        self._store, self._before = store, [before]

    def accept(self, news: News) -> Any:
        while self._before:
            self._before.pop()()
        return self._store.acceptor.accept(news)


@pytest.mark.parametrize("choice", ["known", "reported"])
def test_an_answer_of_ci_that_comes_meanwhile_stays(store: Store, choice: Any) -> None:
    """CI has decided: the operator's decision is not stored, since nothing is in doubt any more."""
    say(store, "Success")
    say(store, "Failed")
    late = Doubts(store.db, Late(store, lambda: say(store, "Cancel", "poll")))  # type: ignore[arg-type]
    assert not late.settle("j1", choice, "an-operator")
    assert (known(store)["state"], known(store)["source"]) == ("Cancel", "poll")
    assert [each["kind"] for each in history(store)] == ["callback", "callback", "poll"]


@pytest.mark.parametrize(("choice", "state"), [("known", "Success"), ("reported", "Cancel")])
def test_another_doubt_that_comes_meanwhile_is_the_one_decided(store: Store, choice: Any, state: str) -> None:
    """The job is read again; it is still in doubt, and the decision is about the new contradiction."""
    say(store, "Success")
    say(store, "Failed")
    late = Doubts(store.db, Late(store, lambda: say(store, "Cancel", end=OTHER_END)))  # type: ignore[arg-type]
    assert late.settle("j1", choice, "an-operator")
    assert (known(store)["state"], known(store)["source"]) == (state, "settle")
    assert "doubt" not in known(store)


def test_one_of_many_simultaneous_decisions_counts(store: Store) -> None:
    """The others change nothing and leave no entry in the history."""
    say(store, "Success")
    say(store, "Failed")
    choices: list[Any] = ["known", "reported"] * 6
    with ThreadPoolExecutor(len(choices)) as pool:
        done = list(pool.map(lambda each: store.doubts.settle("j1", each, "an-operator"), choices))
    assert sum(done) == 1
    (entry,) = [each for each in history(store) if each["kind"] == "settle"]
    assert entry["as"] == choices[done.index(True)]
    assert known(store)["state"] == {"known": "Success", "reported": "Failed"}[entry["as"]]


@pytest.mark.parametrize("choice", ["known", "reported"])
def test_a_decision_is_seen_in_a_full_history(store: Store, choice: Any) -> None:
    """The entry that names the operator and the choice is stored also if contradictions have filled the history."""
    say(store, "Success")
    for minute in range(210):
        say(store, "Failed", end=f"2026-01-02T{10 + minute // 60}:{minute % 60:02}:01+0800")
    before = history(store)
    assert len(before) == 200
    assert store.doubts.settle("j1", choice, "an-operator")
    after = history(store)
    assert len(after) == 200
    assert (after[-1]["kind"], after[-1]["as"], after[-1]["by"]) == ("settle", choice, "an-operator")
