"""The caps bound the time that reading a body takes, whatever a sender puts into it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from app.ci.incoming import limits
from bench.sections import worst

BODIES = worst.bodies()

CALLS_A_NODE = 16
"""Calls of Python and of C functions that a node may cost; the time of each is some 100 ns."""

HEAVY = {name for name in BODIES if "10,000" in name}
WITHIN = {name for name in BODIES if "the maximum" in name}


def calls(work: Callable[[], object]) -> int:
    """Functions called, those in C included."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", BODIES)
def test_the_limits_bound_the_cost_of_a_body(name: str) -> None:
    """Counted in calls, so that the speed of the machine does not matter."""
    body = BODIES[name]()
    assert calls(lambda: worst.read(body)) < CALLS_A_NODE * limits.CALLBACK.nodes


@pytest.mark.parametrize("name", sorted(HEAVY | WITHIN))
def test_a_body_within_the_limits_is_accepted(name: str) -> None:
    """So is the largest that CI is known to send: 10,000 snapshots with the MD5 of each."""
    assert worst.read(BODIES[name]()) == "accepted"


@pytest.mark.parametrize("name", sorted(BODIES.keys() - HEAVY - WITHIN))
def test_each_body_has_the_maximum_size(name: str) -> None:
    """Otherwise the table would measure less than the worst case."""
    assert worst.SIZE * 0.99 < len(BODIES[name]()) <= worst.SIZE
