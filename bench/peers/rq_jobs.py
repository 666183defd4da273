"""What RQ's own workers run: nothing, and they import nothing of ours for it."""

from __future__ import annotations


def nothing(number: int) -> None:
    """A no-op."""
