"""The job that RQ's own workers run: a no-op that imports none of our code."""

from __future__ import annotations


def nothing(number: int) -> None:
    """A no-op."""
