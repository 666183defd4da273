"""After a failure no caller tries for a moment; then one at a time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.redis import breaker as module
from app.redis.breaker import Breaker


class Clock:
    """Time passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def test_closed_until_something_fails() -> None:
    """Everyone may try as long as it goes well."""
    breaker = Breaker()
    assert all(breaker.allows() for _ in range(3))
    breaker.succeeded()
    assert breaker.allows()


def test_open_after_a_failure_then_one_probe_at_a_time(clock: Clock) -> None:
    """During the pause no caller may try; after it one may, and the others go on without waiting for that one."""
    breaker = Breaker(0.2)
    breaker.failed()
    assert not breaker.allows()
    clock.passes(0.25)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_success_closes_it(clock: Clock) -> None:
    """One probe that succeeds lets everyone in again."""
    breaker = Breaker(0.2)
    breaker.failed()
    clock.passes(0.25)
    assert breaker.allows()
    breaker.succeeded()
    assert all(breaker.allows() for _ in range(3))


def test_a_probe_that_dies_costs_another_pause_only(clock: Clock) -> None:
    """If a caller was allowed and never reports its result, the breaker does not stay open permanently."""
    breaker = Breaker(0.2)
    breaker.failed()
    clock.passes(0.25)
    assert [breaker.allows() for _ in range(2)] == [True, False]
    clock.passes(0.25)
    assert breaker.allows()
