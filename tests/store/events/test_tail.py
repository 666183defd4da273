"""Listeners: each receives every event of its topic once and in order, from the window or from Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from app.settings import Settings
from app.store import Store
from app.store.events import tail as tail_module
from app.store.events.outbox import Posted
from app.store.events.tail import Gap, Listener, Tail
from harness.servers import eventually
from tests.api.stored import put


@pytest.fixture
def tail(settings: Settings, store: Store) -> Iterator[Tail]:
    tail = Tail(settings.redis_url, settings.key_prefix, 5.0)
    yield tail
    tail.close()


def heard(listener: Listener, last: str) -> list[str]:
    """The jobs whose events the listener receives, up to ``last``."""
    found: list[str] = []
    until = time.monotonic() + 30
    while last not in found and time.monotonic() < until:
        found += [each.event.job_id for each in listener.next(1) if isinstance(each, Posted)]
    return found


def _put_all(store: Store, names: list[str]) -> None:
    for name in names:
        put(store, name)


def test_all_listeners_share_one_reading(tail: Tail, store: Store) -> None:
    """Listeners at the end of the stream receive an event without a Redis command of their own."""
    with tail.listen(store.outbox.last_id(), None, None) as first:
        put(store, "j0")
        assert heard(first, "j0") == ["j0"]
        start = store.outbox.last_id()
        listeners = [tail.listen(start, None, None) for _ in range(50)]
        opened = [each.__enter__() for each in listeners]
        for listener in opened:
            listener.next(1)
        before = store.db.client.info("commandstats")
        put(store, "j1")
        assert [heard(listener, "j1") for listener in opened] == [["j1"]] * 50
        after = store.db.client.info("commandstats")
        reads = sum(
            after.get(name, {}).get("calls", 0) - before.get(name, {}).get("calls", 0)
            for name in ("cmdstat_xread", "cmdstat_xinfo|stream")
        )
        assert reads < 10
        for each in listeners:
            each.__exit__(None, None, None)


def test_nothing_is_left_out_between_redis_and_the_window(tail: Tail, store: Store) -> None:
    """A listener that begins far behind catches up while events are added: each once, in order."""
    start = store.outbox.last_id()
    names = [f"j{n:04}" for n in range(900)]
    for name in names[:700]:
        put(store, name)
    with tail.listen(start, None, None) as listener:
        writer = threading.Thread(target=_put_all, args=(store, names[700:]))
        writer.start()
        assert heard(listener, names[-1]) == names
        writer.join()


def test_a_quiet_topic_costs_no_reading(tail: Tail, store: Store) -> None:
    """A listener of one job skips any number of events of other jobs without a Redis command."""
    with tail.listen(store.outbox.last_id(), "jmine", None) as listener:
        assert listener.next(0.1) == []
        for n in range(700):
            put(store, f"j{n}")
        assert listener.next(0.1) == []
        before = store.db.client.info("commandstats").get("cmdstat_xinfo|stream", {}).get("calls", 0)
        put(store, "jmine")
        assert heard(listener, "jmine") == ["jmine"]
        after = store.db.client.info("commandstats").get("cmdstat_xinfo|stream", {}).get("calls", 0)
        assert after == before


def test_removed_events_are_reported_as_a_gap(tail: Tail, store: Store) -> None:
    for n in range(5):
        put(store, f"j{n}")
    first = store.outbox.first_id() or ""
    store.db.client.xtrim(store.db.key("events"), maxlen=2, approximate=False)
    with tail.listen(first, None, None) as listener:
        gap, *rest = listener.next(5)
        assert isinstance(gap, Gap) and gap.after == first
        assert [each.event.job_id for each in rest if isinstance(each, Posted)] == ["j3", "j4"]


def test_a_burst_of_events_is_read_in_few_commands(
    tail: Tail, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first event is received without a pause; those behind it share a command."""
    monkeypatch.setattr(tail_module, "_PAUSE_S", 1.0)
    names = [f"j{n}" for n in range(40)]
    with tail.listen(store.outbox.last_id(), None, None) as listener:
        put(store, "first")
        assert heard(listener, "first") == ["first"]
        before = _reads(store)
        _put_all(store, names)
        assert heard(listener, names[-1]) == names
        assert _reads(store) - before < len(names) / 2


def test_nothing_is_read_once_no_client_waits(
    tail: Tail, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without listeners the process stops reading the stream; the next listener starts it again."""
    monkeypatch.setattr(tail_module, "_LINGER_S", 0.0)
    with tail.listen(store.outbox.last_id(), None, None) as listener:
        put(store, "j0")
        assert heard(listener, "j0") == ["j0"]
        reader = tail._reader
    assert reader is not None
    put(store, "wakes-the-reader")
    # Not by the server's count of commands: it grows when a reader of an earlier test ends its last command.
    eventually(lambda: not reader.is_alive(), "the end of the reader")
    _put_all(store, ["j1", "j2", "j3"])
    assert tail._reader is None
    with tail.listen(store.outbox.last_id(), None, None) as listener:
        put(store, "j4")
        assert heard(listener, "j4") == ["j4"]


def _reads(store: Store) -> int:
    found: int = store.db.client.info("commandstats").get("cmdstat_xread", {}).get("calls", 0)
    return found
