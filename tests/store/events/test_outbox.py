"""The outbox: what is trimmed and packed; and each entry is still read once, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.redis.scripts import text_map
from app.services import Services
from app.settings import Settings
from app.store import Store
from app.store.packing.packing import pack
from tests.store.said import said, tell


def test_a_flood_of_reports_about_one_job_makes_a_bounded_number_of_events(store: Store) -> None:
    """Past the bound for one URL only the job's end or CI's own answer changes the job, and CI is asked."""
    for n in range(30):
        tell(store, said("j1", "Running", message=str(n)), body=b"")
    assert store.outbox.size() == 18
    assert store.due.take(10, 60) == ["j1"]
    tell(store, said("j1", "Pause"))
    job = store.jobs.get("j1")
    assert job is not None
    assert job.state == "Running"
    assert tell(store, said("j1", "Running"), source="poll") == ["accepted"]


def test_the_outbox_is_trimmed_below_what_is_acknowledged(settings: Settings) -> None:
    """It keeps the newest entries for listeners, and every entry that no relay has acknowledged."""
    services = Services.open(settings.model_copy(update={"outbox_max": 400}), timeout=5)
    store = services.store
    store.outbox.open()
    for n in range(390):
        tell(store, said(f"j{n}", "Success"), body=b"")
    store.outbox.trim()
    assert store.outbox.size() == 390, "nothing was read"
    posted = store.outbox.read("one", 300, 1)
    store.outbox.acknowledge(posted[:100])
    store.outbox.trim()
    left = [each.event.event_id for each in store.outbox.after("0", 1000)]
    not_acknowledged = [each.event.event_id for each in posted[100:]]
    assert set(not_acknowledged) <= set(left), "what was read and not acknowledged stays"
    assert len(left) < 390, "what was acknowledged goes"
    store.outbox.acknowledge(posted[100:] + store.outbox.read("one", 300, 1))
    everything = [each.event.event_id for each in store.outbox.after("0", 1000)]
    store.outbox.trim()
    assert 200 <= store.outbox.kept() <= 240
    assert store.outbox.size() < 100, "the older ones are packed"
    for count in (1, 7, 50, 51, 1000):
        assert _walked(store, count) == everything[-store.outbox.kept() :], (
            "packed or not, each is read once, in order"
        )


def test_few_entries_are_packed_too_once_they_are_old(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With little traffic, all but the newest entries are packed after a while, and listeners still read them."""
    store.outbox.open()
    for n in range(60):
        tell(store, said(f"j{n}", "Success"), body=b"")
    store.outbox.acknowledge(store.outbox.read("one", 100, 1))
    everything = _walked(store, 100)
    store.outbox.trim()
    assert store.outbox.size() == 60, "the newest stay as they are for a while"
    monkeypatch.setattr("app.store.events.outbox._OPEN_MS", 0)
    store.outbox.trim()
    assert store.outbox.size() < 10
    assert store.outbox.kept() == len(everything) == 60
    assert not store.outbox.resume("0-0")[0], "nothing is gone"
    tell(store, said("jlast", "Success"), body=b"")
    store.outbox.acknowledge(last := store.outbox.read("one", 100, 1))
    store.db.client.xtrim(store.db.key("events"), maxlen=0)
    assert store.outbox.last_id() == last[-1].stream_id, (
        "even with nothing left in the stream it knows its end"
    )
    assert not store.outbox.after(store.outbox.last_id(), 100)
    for count in (1, 7, 1000):
        assert _walked(store, count) == everything


def test_entries_that_an_earlier_release_packed_are_read(store: Store) -> None:
    """The earlier release packed them as JSON."""
    store.outbox.open()
    tell(store, said("j1", "Running"), said("j2", "Success"), body=b"")
    before = store.outbox.after("0", 10)
    redis, key = store.db.client, store.db.key
    found: Any = redis.xrange(key("events"))
    rows: list[Any] = [[each.decode(), text_map(fields)] for each, fields in found]
    redis.xtrim(key("events"), maxlen=0)
    ends: dict[Any, Any] = {
        "first": rows[0][0],
        "before": 0,
        "count": 2,
        "entries": pack(json.dumps(rows).encode()),
    }
    redis.xadd(key("past"), ends, id=rows[-1][0])
    assert store.outbox.after("0", 10) == before


def _walked(store: Store, count: int) -> list[str]:
    """The ids of all events, read page by page."""
    found, position = [], "0-0"
    while page := store.outbox.after(position, count):
        position = page[-1].stream_id
        found += [each.event.event_id for each in page]
    return found
