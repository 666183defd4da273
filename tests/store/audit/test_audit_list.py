"""The audit list keeps the newest entries whole, and costs no more than its bound."""

from __future__ import annotations

from typing import Any

import pytest

from app.redis.cursors import encode_cursor
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
    """The list may exceed its bound by one node of a Redis stream, a hundred entries."""
    monkeypatch.setattr(audit_list, "ENTRIES_MAX", 200)
    for number in range(700):
        store.audit.add(AuditEntry("ops", "api", "lanes.pause", on={"lane": str(number)}))
    kept, _ = store.audit.page(1000)
    assert 200 <= len(kept) <= 300
    assert kept[0].on == {"lane": "699"}


def test_submissions_push_out_nothing_else_and_stand_between_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of any size merge both lists: each entry once, in the order of time."""
    monkeypatch.setattr(audit_list, "ENTRIES_MAX", 100)
    store.audit.add(AuditEntry("ops", "api", "lanes.pause"))
    for number in range(500):
        store.audit.add(AuditEntry("shop", "api", "submit", (f"j{number}",)))
        if number % 50 == 0:
            store.audit.add(AuditEntry("ops", "page", "jobs.cancel", (f"j{number}",)))
    whole, _ = store.audit.page(1000)
    assert [each.action for each in whole].count("jobs.cancel") == 10
    assert whole[-1].action == "lanes.pause"
    found: list[AuditEntry] = []
    page, cursor = store.audit.page(7)
    while cursor:
        found += page
        page, cursor = store.audit.page(7, cursor)
    assert found + page == whole
    assert len({each.id for each in whole}) == len(whole)


def test_entries_of_one_moment_are_all_listed(store: Store) -> None:
    """Both lists may number their entries alike: a page that ends between the two loses neither."""
    for key in ("others", "submit"):
        for each in ("5-0", "5-1"):
            entry = '{"by": "ops", "via": "api", "action": "x"}'
            store.db.client.xadd(store.db.key("audit", key), {"entry": entry}, id=each)
    found, cursor = store.audit.page(1)
    while cursor:
        page, cursor = store.audit.page(1, cursor)
        found += page
    assert [each.id for each in found] == ["5-1-1", "5-1-0", "5-0-1", "5-0-0"]


@pytest.mark.parametrize("letter", ["a", "ä", "字", "\U0001f600", "\0", '"'])
def test_text_from_a_caller_is_bounded(store: Store, letter: str) -> None:
    """Ten thousand labels, ids and letters cost 2,000 bytes, whatever they are made of."""
    long = letter * 10_000
    many = {f"{number}{long}": long for number in range(1000)}
    store.audit.add(AuditEntry(long, "api", "jobs.replay", (long,) * 1000, many, many, "r"))
    (kept,), _ = store.audit.page(1)
    assert (len(kept.job_ids), len(kept.on or {}), len(kept.did or {})) == (20, 8, 8)
    stored: list[Any] = store.db.client.xrange(store.db.key("audit", "others"))  # type: ignore[assignment]
    assert len(stored[0][1][b"entry"]) <= 2000


_NUMBERS = ("", "x", "1", "\u0663-0", "9" * 40 + "-0", "0)-0", "0-2")


@pytest.mark.parametrize("place", [(-1, "0-0"), *((1, each) for each in _NUMBERS)])
def test_a_cursor_of_another_list_is_a_position_all_the_same(store: Store, place: tuple[int, str]) -> None:
    """A cursor that fits the documented pattern is accepted: this one is before the first entry."""
    store.audit.add(AuditEntry("shop", "api", "jobs.replay"))
    assert store.audit.page(1, encode_cursor(place)) == ([], None)
