"""After a failure nobody tries for a moment; then one at a time."""

from __future__ import annotations

import time

from app.store.breaker import Breaker


def test_closed_until_something_fails() -> None:
    """Everyone may try as long as it goes well."""
    breaker = Breaker()
    assert all(breaker.allows() for _ in range(3))
    breaker.succeeded()
    assert breaker.allows()


def test_open_after_a_failure_then_one_probe_at_a_time() -> None:
    """During the pause nobody may try; after it one may, and the others go on without waiting for that one."""
    breaker = Breaker(0.2)
    breaker.failed()
    assert not breaker.allows()
    time.sleep(0.25)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_success_closes_it() -> None:
    """One probe that succeeds lets everyone in again."""
    breaker = Breaker(0.05)
    breaker.failed()
    time.sleep(0.1)
    assert breaker.allows()
    breaker.succeeded()
    assert all(breaker.allows() for _ in range(3))


def test_a_probe_that_dies_costs_another_pause_only() -> None:
    """Whoever was allowed and never came back does not leave it open for ever."""
    breaker = Breaker(0.05)
    breaker.failed()
    time.sleep(0.1)
    assert breaker.allows()
    time.sleep(0.1)
    assert breaker.allows()
