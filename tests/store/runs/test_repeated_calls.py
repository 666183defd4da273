"""Calls whose answer was lost: the client repeats each once, and nothing is doubled or refused by itself."""

from __future__ import annotations

from app.core.clock import now_ms
from app.store import Store
from app.store.submissions.idempotency import IdempotencyRecord
from tests.store.samples import submission


def test_a_submission_is_counted_once(store: Store) -> None:
    """Also at the end of the day's budget: it is in the store, so it must be sent or searched for."""
    for _ in range(3):
        store.submissions.create(submission("s1"), most_a_day=1)
    assert store.submissions.sent_today() == 1


def test_an_api_key_is_made_once(store: Store) -> None:
    """Its name is not taken by another key."""
    key = "ck_" + "a" * 32
    for _ in range(2):
        assert store.api_keys.create("mine", frozenset({"read"}), key) == key
    assert [each.name for each in store.api_keys.list()] == ["mine"]


def test_an_idempotency_record_is_not_taken_for_anothers(store: Store) -> None:
    record = IdempotencyRecord("content", "s1", now_ms())
    for _ in range(2):
        assert store.idempotency.take("api", "name", record, 60) is None
    other = IdempotencyRecord("content", "s2", now_ms())
    assert store.idempotency.take("api", "name", other, 60) == record
