"""No body holds the interpreter: what reading one costs is bounded by the caps, and not by who wrote it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from app.ci.incoming import limits
from bench import worst

BODIES = worst.bodies()

CALLS_A_NODE = 16
"""Calls of Python and of C functions that a node may cost; the time of each is some 100 ns."""

HEAVY = {name for name in BODIES if "10,000" in name}
WITHIN = {name for name in BODIES if "as many" in name}


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
def test_what_a_body_costs_is_bounded_by_the_caps(name: str) -> None:
    """Counted in calls: a machine's speed and mood do not matter."""
    assert calls(lambda: worst.read(BODIES[name])) < CALLS_A_NODE * limits.CALLBACK.nodes


@pytest.mark.parametrize("name", sorted(HEAVY | WITHIN))
def test_what_keeps_to_the_caps_is_taken(name: str) -> None:
    """The largest that CI makes, 10,000 snapshots with the MD5 of each, does by far."""
    assert worst.read(BODIES[name]) == "taken"


@pytest.mark.parametrize("name", sorted(BODIES.keys() - HEAVY - WITHIN))
def test_each_is_as_large_as_a_body_may_be(name: str) -> None:
    """Else the table would measure something smaller than what can come."""
    assert worst.SIZE * 0.99 < len(BODIES[name]) <= worst.SIZE
