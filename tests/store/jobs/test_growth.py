"""What is stored already makes nothing slower: Redis does the same work beside fifteen times as many jobs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.store import Store
from app.store.reading.listing import Filter
from tests.api.stored import put

FEW, MANY = 200, 3000
"""Enough for a full page in both."""
HALF = Filter((("state", "Success"), ("user_data", "half")))
"""Each index holds the other half too: what it names is not what is wanted."""

OPERATIONS: dict[str, Callable[[Store, str], object]] = {
    "accept": lambda store, name: put(store, f"j-new-{name}", UserData="order"),
    "a page of 50, two filters": lambda store, _: store.jobs.page(
        Filter((("state", "Success"), ("tag", "VoiceSeparate"))), 50, None
    ),
    "the same, shown before": lambda store, _: store.jobs.page_json(
        Filter((("state", "Success"), ("tag", "VoiceSeparate"))), 50, None
    ),
    "the page behind it": lambda store, _: store.jobs.page(HALF, 5, store.jobs.page(HALF, 5).next_cursor),
    "of each index half": lambda store, _: store.jobs.page(HALF, 10, None),
    "how many there are": lambda store, _: store.jobs.matching(Filter((("state", "Success"),))),
    "look-up by user data": lambda store, _: store.jobs.page(Filter((("user_data", "order-8"),)), 1, None),
}


def test_as_many_commands_beside_few_as_beside_many_jobs(store: Store) -> None:
    """Counted, not timed: the commands that Redis executed, those of scripts too. ``python -m bench --only growth``
    has times."""
    _store_jobs(store, 0, FEW)
    few = {name: _commands(store, operation, "few") for name, operation in OPERATIONS.items()}
    _store_jobs(store, FEW, MANY)
    many = {name: _commands(store, operation, "many") for name, operation in OPERATIONS.items()}
    for name, count in few.items():
        assert count > 0
        assert many[name] <= count * 1.2, name


def test_no_operation_walks_through_all_keys(store: Store) -> None:
    _store_jobs(store, 0, FEW)
    store.db.client.config_resetstat()
    for operation in OPERATIONS.values():
        operation(store, "walk")
    called = {name.partition("_")[2].lower() for name in store.db.client.info("commandstats")}
    assert not called & {"keys", "scan", "smembers", "sort", "randomkey"}


def _store_jobs(store: Store, first: int, end: int) -> None:
    for number in range(first, end):
        # Of four jobs one has ended and is of that half, one only the one, one only the other.
        more = {"State": "Running", "EndTime": None} if number % 4 > 1 else {}
        put(store, f"j{number}", UserData="half" if number % 2 else f"order-{number}", **more)


def _commands(store: Store, operation: Callable[[Store, str], object], name: str) -> int:
    """The least of three: a clean-up of ours may run beside one of them."""
    counts = []
    for number in range(3):
        before = _executed(store)
        operation(store, f"{name}-{number}")
        counts.append(_executed(store) - before)
    return min(counts)


def _executed(store: Store) -> int:
    stats = store.db.client.info("commandstats")
    return sum(int(each["calls"]) for each in stats.values())


@pytest.fixture(autouse=True)
def _scripts_are_loaded(store: Store) -> None:
    for operation in OPERATIONS.values():
        operation(store, "warm")
