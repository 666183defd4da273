"""The audit list keeps the newest entries whole, and costs no more than its bound."""

from __future__ import annotations

from typing import Any

import pytest

from app.redis.cursors import BadCursor, encode_cursor
from app.store import Store
from app.store.audit import audit_list
from app.store.audit.audit_list import AuditEntry


def test_pages_are_newest_first_and_each_entry_is_on_one_of_them(store: Store) -> None:
    for number in range(7):
        store.audit.add(
            AuditEntry("ops", "api", "jobs.replay", (f"j{number}",), {"tag": "x"}, {"done": 1}, "r")
        )
    found: list[AuditEntry] = []
    cursor = None
    while True:
        page, cursor = store.audit.page(3, cursor)
        found += page
        if cursor is None:
            break
    assert [each.job_ids[0] for each in found] == [f"j{number}" for number in range(6, -1, -1)]
    newest = found[0]
    assert (newest.by, newest.via, newest.action, newest.request_id) == ("ops", "api", "jobs.replay", "r")
    assert (newest.on, newest.did) == ({"tag": "x"}, {"done": 1})


def test_entries_that_come_between_two_pages_move_none(store: Store) -> None:
    for number in range(4):
        store.audit.add(AuditEntry("ops", "api", "lanes.pause", on={"lane": str(number)}))
    first, cursor = store.audit.page(2)
    store.audit.add(AuditEntry("ops", "api", "lanes.pause", on={"lane": "late"}))
    second, end = store.audit.page(2, cursor)
    assert [(each.on or {})["lane"] for each in (*first, *second)] == ["3", "2", "1", "0"]
    assert end is None


def test_the_oldest_go_beyond_the_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a node of Redis' stream, a hundred entries, more than the bound."""
    monkeypatch.setattr(audit_list, "ENTRIES_MAX", 200)
    for number in range(700):
        store.audit.add(AuditEntry("ops", "api", "lanes.pause", on={"lane": str(number)}))
    kept, _ = store.audit.page(1000)
    assert 200 <= len(kept) <= 300
    assert kept[0].on == {"lane": "699"}


@pytest.mark.parametrize("letter", ["a", "ä", "字", "\U0001f600", "\0", '"'])
def test_what_a_caller_writes_is_bounded(store: Store, letter: str) -> None:
    """Ten thousand labels, ids and letters cost 4,000 bytes, whatever they are made of."""
    long = letter * 10_000
    many = {f"{number}{long}": long for number in range(1000)}
    store.audit.add(AuditEntry(long, "api", "jobs.replay", (long,) * 1000, many, many, "r"))
    (kept,), _ = store.audit.page(1)
    assert (len(kept.job_ids), len(kept.on or {}), len(kept.did or {})) == (20, 12, 12)
    stored: list[Any] = store.db.client.xrange(store.db.key("audit"))  # type: ignore[assignment]
    assert len(stored[0][1][b"entry"]) <= 4000


@pytest.mark.parametrize("place", [(-1, "0"), (1, "x"), (1, "٣"), (1, ""), (1, "9" * 40), (1, "0)")])
def test_a_cursor_that_is_none_of_ours_is_refused(store: Store, place: tuple[int, str]) -> None:
    with pytest.raises(BadCursor):
        store.audit.page(1, encode_cursor(place))
