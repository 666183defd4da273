"""A command whose answer was lost is sent again: it does nothing twice, and knows its own record."""

from __future__ import annotations

from typing import Any

import pytest

from app.redis import connection
from app.store import Store
from app.store.access.api_keys import NameTaken
from app.store.submissions.idempotency import IdempotencyRecord
from app.store.submissions.submissions import OverBudget
from tests.store.samples import submission

RECORD = IdempotencyRecord("content", "s1", 1_760_000_000_000)


@pytest.fixture(autouse=True)
def first_answers_are_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server runs each command, its connection drops before the answer is read, and the client sends it again."""
    send, exchange = connection._Client._send_command_parse_response, connection._exchanged

    def send_twice(client: Any, conn: Any, *command: Any, **options: Any) -> Any:
        send(client, conn, *command, **options)  # type: ignore[no-untyped-call]
        conn.disconnect()
        return send(client, conn, *command, **options)  # type: ignore[no-untyped-call]

    def exchange_twice(conn: Any, packed: Any, count: int) -> list[Any]:
        exchange(conn, packed, count)
        conn.disconnect()
        return exchange(conn, packed, count)

    monkeypatch.setattr(connection._Client, "_send_command_parse_response", send_twice)
    monkeypatch.setattr(connection, "_exchanged", exchange_twice)


def test_each_command_here_runs_twice(store: Store) -> None:
    """As counters show."""
    assert store.db.client.incr(store.db.key("slow_times")) == 2


def test_a_submission_is_counted_once(store: Store) -> None:
    """The day's last job may be sent, and the next one may not."""
    store.submissions.create(submission("s1"), most_a_day=1)
    assert store.submissions.sent_today() == 1
    kept = store.submissions.get("s1")
    assert kept is not None
    assert kept.status == "sending"
    with pytest.raises(OverBudget):
        store.submissions.create(submission("s2"), most_a_day=1)


def test_a_new_api_key_is_returned(store: Store) -> None:
    """It can be read only there; the name is taken for every other key."""
    store.api_keys.create("mine", frozenset({"read"}), "ck_first")
    for other in ("ck_first", "ck_other"):
        with pytest.raises(NameTaken):
            store.api_keys.create("mine", frozenset({"admin"}), other)
    store.api_keys.create("mine", frozenset({"read"}), "ck_other", replace=True)
    assert [each.name for each in store.api_keys.list()] == ["mine"]


def test_an_idempotency_record_is_not_taken_for_another_request(store: Store) -> None:
    """The caller whose record is stored performs the request; a second caller gets the record."""
    other = IdempotencyRecord("content", "s2", RECORD.since)
    assert store.idempotency.take("space", "name", RECORD, 60) is None
    assert store.idempotency.take("space", "name", other, 60) == RECORD


def test_an_exchanged_record_is_not_taken_for_a_lost_one(store: Store) -> None:
    answered, other = RECORD.answered({"job_ids": []}), RECORD.answered({"job_ids": ["j1"]})
    store.idempotency.take("space", "name", RECORD, 60)
    assert store.idempotency.swap("space", "name", RECORD, answered, 60)
    assert store.idempotency.get("space", "name") == answered
    assert not store.idempotency.swap("space", "name", RECORD, other, 60)
