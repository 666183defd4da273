"""What one callback URL may cost: callbacks, bytes and runs of handlers."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.clock import now_ms
from app.redis.scripts import decoded_all, text_map
from app.store import OverLimit, Store
from app.store.accept.acceptor import Acceptor
from app.store.accept.news import Limits, UrlLimit
from tests.store.clocks import off_by
from tests.store.news import EARLY, LATE, create_submission
from tests.store.said import said, tell


@pytest.mark.parametrize("submission", ["s1", None, "sgone"])
def test_callbacks_a_minute_are_limited(store: Store, submission: str | None) -> None:
    """Beyond the limit nothing is kept; the answer says when the URL may send again. Duplicates count too."""
    create_submission(store, "s1")
    more: dict[str, Any] = {"submission": submission, "token": "t1", "limit": UrlLimit(per_minute=4, runs=20)}
    now = now_ms()
    with pytest.raises(OverLimit) as over:
        for n in range(9):  # a minute may begin in between
            tell(store, said("j1", "Running", progress=n // 2), **more)
    assert 0 < over.value.seconds <= 60
    entries, _ = store.jobs.history("j1")
    assert len(entries) == 4 or now // 60_000 != now_ms() // 60_000
    tell(store, said("j2", "Running"), token="t2", limit=UrlLimit(per_minute=4, runs=20))


def test_hosts_whose_clocks_differ_count_in_the_same_minute(store: Store) -> None:
    """The minute is that of Redis: otherwise each host would begin to count again."""
    more: dict[str, Any] = {"token": "t1", "limit": UrlLimit(per_minute=4, runs=20)}
    with pytest.raises(OverLimit) as over:
        for n in range(9):  # a minute may begin in between
            with off_by(n % 2 * 90):
                tell(store, said("j1", "Running", progress=n), **more)
    assert 0 < over.value.seconds <= 60


@pytest.mark.parametrize("limit", [UrlLimit(100, 20, bytes=2000), UrlLimit(100, 20, bytes_per_minute=2000)])
def test_bytes_are_limited(store: Store, limit: UrlLimit) -> None:
    """A stored body counts in full size; a body that is stored already does not count."""
    create_submission(store, "s1")
    more: dict[str, Any] = {"submission": "s1", "token": "t1", "limit": limit}
    now, taken = now_ms(), 0
    for _ in range(5):
        tell(store, said("j1", "Running"), body=b"a" * 600, **more)
    with pytest.raises(OverLimit):
        for n in range(9):  # a minute may begin in between
            tell(store, said("j1", "Success", EARLY), body=b"%d" % n * 600, **more)
            taken += 1
    assert taken == 0 or now // 60_000 != now_ms() // 60_000
    assert tell(store, said("j1", "Running"), body=b"a" * 600, **more) == ["duplicate"]


def test_one_url_runs_a_jobs_handlers_only_so_often(store: Store) -> None:
    """Past the limit a report is stored, runs no handlers, and CI is asked; the handlers of the job's end run all the
    same."""
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
    """Its name, expiry and last use are stored under its fingerprint."""
    tell(store, said("j1", "Running"), token="print", url={"name": "console", "expires": 5})
    kept = text_map(store.db.client.hgetall(store.db.key("url", "print")))
    assert (kept["name"], kept["expires"]) == ("console", "5")
    assert now_ms() - int(kept["used"]) < 60_000
    assert decoded_all(store.db.client.zrange(store.db.key("urls"), 0, -1)) == ["print"]
